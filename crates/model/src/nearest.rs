//! The nearest known word to one that was mistyped.

/// `; did you mean "memory"?` if one of the known words is near enough to be meant.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, known).map(|near| format!("; did you mean {near:?}?"))
}

/// The known word with the fewest slips between it and `word`: at most one in three letters.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = plain(word);
    let allowed = (word.len() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (slips(&word, &plain(candidate)), candidate))
        .filter(|(count, _)| *count <= allowed)
        .min_by_key(|(count, _)| *count)
        .map(|(_, candidate)| candidate)
}

/// Lower case without separators: `imagePullSecrets` is `image_pull_secrets` to the eye.
fn plain(word: &str) -> Vec<char> {
    // Nobody mistypes a word of a hundred letters; long ones would only cost time.
    word.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .take(100)
        .collect()
}

/// Insertions, deletions, substitutions and swaps of neighbours between two words.
fn slips(left: &[char], right: &[char]) -> usize {
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (i, &a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in right.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(a != b))
                .min(rows[i][j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && a == right[j - 1] && left[i - 1] == b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_of_the_finger_are_recognised_and_other_words_are_not() {
        let known = ["memory", "image", "image_pull_secrets", "script", "input"];
        assert_eq!(nearest("memmory", known), Some("memory"));
        assert_eq!(nearest("imgae", known), Some("image"));
        assert_eq!(
            nearest("imagePullSecrets", known),
            Some("image_pull_secrets")
        );
        assert_eq!(nearest("inputs", known), Some("input"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
