//! What bucket names and keys may look like, and the order of keys.

use std::net::Ipv4Addr;

use super::ObjectError;

/// Longest key, in bytes of UTF-8.
pub const MAX_KEY: usize = 1024;

/// S3's rules for bucket names.
pub fn check_bucket_name(name: &str) -> Result<(), ObjectError> {
    let wrong = |expected| {
        Err(ObjectError::BucketName {
            name: name.to_owned(),
            expected,
        })
    };
    if !(3..=63).contains(&name.len()) {
        return wrong("it must have 3 to 63 characters");
    }
    if !name.bytes().all(|byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
    }) {
        return wrong("only lower-case letters, digits, dots and hyphens are allowed");
    }
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !ends(name.bytes().next()) || !ends(name.bytes().last()) {
        return wrong("it must begin and end with a letter or digit");
    }
    if name.contains("..") {
        return wrong("two dots must not stand side by side");
    }
    if name.parse::<Ipv4Addr>().is_ok() {
        return wrong("it must not look like an IP address");
    }
    if name.starts_with("xn--") {
        return wrong("it must not begin with \"xn--\"");
    }
    Ok(())
}

/// Any UTF-8 of 1 to [`MAX_KEY`] bytes without NUL. Keys are rows, never paths: `../` and `//` mean nothing here.
pub fn check_key(key: &str) -> Result<(), ObjectError> {
    let wrong = |reason| {
        Err(ObjectError::Key {
            key: key.to_owned(),
            reason,
        })
    };
    if key.is_empty() {
        return wrong("it is empty");
    }
    if key.len() > MAX_KEY {
        return wrong("it has more than 1,024 bytes");
    }
    if key.contains('\0') {
        return wrong("it contains a NUL character");
    }
    Ok(())
}

/// The least string greater than all that start with `prefix`; `None` when there is none.
pub(super) fn after_prefix(prefix: &str) -> Option<String> {
    let mut next = prefix.to_owned();
    while let Some(last) = next.pop() {
        // Skips the gap of the surrogates, which are no characters.
        let following = if last == '\u{d7ff}' {
            Some('\u{e000}')
        } else {
            char::from_u32(last as u32 + 1)
        };
        if let Some(following) = following {
            next.push(following);
            return Some(next);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        for name in ["abc", "a-b.c", "123", &"a".repeat(63), "my.bucket-1"] {
            assert!(check_bucket_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "ab",
            "Abc",
            "a_b",
            "a b",
            "-abc",
            "abc-",
            ".abc",
            "a..b",
            "10.0.0.1",
            "xn--abc",
            "ä-bc",
            "a/b",
            &"a".repeat(64),
        ] {
            assert!(check_bucket_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn keys_are_any_text_but_nul() {
        for key in [
            "a",
            "../../etc/passwd",
            "/a",
            "//",
            " ",
            "ä/日本.txt",
            &"k".repeat(1024),
        ] {
            assert!(check_key(key).is_ok(), "{key}");
        }
        for key in ["", "a\0b", &"k".repeat(1025), &"ä".repeat(513)] {
            assert!(check_key(key).is_err(), "{key}");
        }
    }

    #[test]
    fn the_end_of_a_prefix_is_after_all_its_keys_and_before_all_others() {
        assert_eq!(after_prefix("a/").as_deref(), Some("a0"));
        assert_eq!(after_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(after_prefix("b\u{10ffff}").as_deref(), Some("c"));
        assert_eq!(after_prefix("\u{10ffff}"), None);
        assert_eq!(after_prefix(""), None);
    }
}
