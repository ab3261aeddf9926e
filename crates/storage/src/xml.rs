//! Answers in XML.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use reqwest::Response;

use crate::error::{Doing, StorageError};

/// A whole answer of at most `limit` bytes.
pub(crate) async fn body(
    doing: Doing<'_>,
    mut answer: Response,
    limit: usize,
) -> Result<String, StorageError> {
    let mut body = Vec::new();
    while let Some(piece) = answer
        .chunk()
        .await
        .map_err(|error| doing.unanswered(error))?
    {
        if body.len() + piece.len() > limit {
            return Err(doing.garbled(format!("the answer is longer than {limit} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    String::from_utf8(body).map_err(|_| doing.garbled("the answer is not UTF-8"))
}

/// The text of the first element of that name, whatever its prefix.
pub(crate) fn text_of(body: &str, name: &str) -> Option<String> {
    let mut reader = Reader::from_str(body);
    let mut found: Option<String> = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) if tag.local_name().as_ref() == name.as_bytes() => {
                found = Some(String::new());
            }
            Event::Text(piece) => {
                if let Some(text) = &mut found {
                    text.push_str(&piece.decode().ok()?);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(text) = &mut found {
                    push_reference(text, &reference);
                }
            }
            Event::End(tag) if tag.local_name().as_ref() == name.as_bytes() => return found,
            Event::Eof => return None,
            _ => (),
        }
    }
}

/// Adds what `&name;` or `&#number;` stands for; what is unknown is left out.
pub(crate) fn push_reference(text: &mut String, reference: &BytesRef<'_>) {
    if let Ok(Some(letter)) = reference.resolve_char_ref() {
        text.push(letter);
    } else if let Ok(name) = reference.decode()
        && let Some(known) = quick_xml::escape::resolve_xml_entity(&name)
    {
        text.push_str(known);
    }
}
