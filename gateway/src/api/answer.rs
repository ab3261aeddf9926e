//! JSON the way the reference writes it.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::problem::Problem;

/// Compact JSON with `<`, `>` and `&` escaped.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Response, Problem> {
    Ok(json_text(text(value)?))
}

/// An answer that is JSON already.
pub(super) fn json_text(text: String) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
        text,
    )
        .into_response()
}

/// The text of [`json`].
pub(super) fn text<T: Serialize>(value: &T) -> Result<String, Problem> {
    let plain = serde_json::to_string(value).map_err(Problem::internal("writing JSON"))?;
    // In JSON these characters can only stand inside strings.
    if !plain.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return Ok(plain);
    }
    let mut escaped = String::with_capacity(plain.len() + 64);
    for character in plain.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    Ok(escaped)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_page_might_take_for_markup_is_escaped() {
        let text = super::text(&["<a href='?x&y'>", "é\u{2028}"]).unwrap_or_default();
        assert_eq!(text, "[\"\\u003ca href='?x\\u0026y'\\u003e\",\"é\\u2028\"]");
        assert_eq!(
            serde_json::from_str::<Vec<String>>(&text).unwrap(),
            ["<a href='?x&y'>", "é\u{2028}"]
        );
    }
}
