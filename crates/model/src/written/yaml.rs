//! Reading YAML, with the place of everything.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, NonFiniteFloatPolicy, Spanned};

use super::{Key, Place, What, Written};

/// Most values that aliases may repeat in one document: a few services that share a block need some hundreds.
const MOST_REPEATED: usize = 50_000;

/// Not YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// Reads one YAML document; an empty text is [`What::Null`].
pub(crate) fn read(text: &str) -> Result<Written, YamlError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        ignore_binary_tag_for_string: true,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_REPEATED },
    };
    match serde_saphyr::from_str_with_options::<Spanned<Yaml>>(text, options) {
        Ok(yaml) => Ok(written(yaml, text)),
        Err(error) => Err(YamlError {
            place: error.location().map(place).unwrap_or_default(),
            message: in_words(&error),
        }),
    }
}

/// The parser's message without the place at its end, and without advice for programmers.
fn in_words(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key {key:?} is given twice")
        }
        serde_saphyr::Error::MultipleDocuments { .. } => {
            "a second document begins here; expected one document without \"---\"".to_owned()
        }
        error => {
            let text = error.to_string();
            let end = text.rfind(" at line ").unwrap_or(text.len());
            format!("it is no YAML: {}", &text[..end])
        }
    }
}

/// As the parser hands it over: the text of scalars that look like something else is only in the source.
enum Yaml {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Spanned<Yaml>>),
    Map(Vec<(Spanned<String>, Spanned<Yaml>)>),
}

fn place(location: Location) -> Place {
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Place {
        line: number(location.line()),
        column: number(location.column()),
    }
}

fn written(yaml: Spanned<Yaml>, source: &str) -> Written {
    let raw = || {
        let span = yaml.defined.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        source
            .get(start..start.checked_add(length)?)
            .map(|text| text.trim().to_owned())
    };
    let what = match yaml.value {
        Yaml::Null => What::Null,
        Yaml::Bool(value) => What::Bool(value, raw().unwrap_or_else(|| value.to_string())),
        Yaml::Number => What::Number(raw().unwrap_or_default()),
        Yaml::Text(text) => What::Text(text),
        Yaml::List(items) => What::List(
            items
                .into_iter()
                .map(|item| written(item, source))
                .collect(),
        ),
        Yaml::Map(members) => What::Map(
            members
                .into_iter()
                .map(|(key, value)| {
                    (
                        Key {
                            place: place(key.defined),
                            name: key.value,
                        },
                        written(value, source),
                    )
                })
                .collect(),
        ),
    };
    Written {
        what,
        place: place(yaml.defined),
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        Yaml::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(value))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Yaml, E> {
        Ok(Yaml::Number)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Yaml, E> {
        Ok(Yaml::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Yaml, E> {
        Ok(Yaml::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Yaml, E> {
        Ok(Yaml::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Yaml, E> {
        Ok(Yaml::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Yaml, E> {
        Ok(Yaml::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Yaml, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = members.next_entry()? {
            map.push(entry);
        }
        Ok(Yaml::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, What, Written, read};

    fn member<'a>(value: &'a Written, name: &str) -> &'a Written {
        let What::Map(members) = &value.what else {
            panic!("no map: {value:?}")
        };
        &members.iter().find(|(key, _)| key.name == name).unwrap().1
    }

    #[test]
    fn scalars_keep_their_text() {
        let yaml = read("a: 1.10\nb: 0644\nc: no\nd: \"no\"\ne: 1e3\nf: ~\ng: 12_000\nh: &x 3.0\ni: *x\nj: 0x1F\nk: .nan\nyes: x\n1.0: z\n").unwrap();
        let what = |name: &str| member(&yaml, name).what.clone();
        let number = |text: &str| What::Number(text.to_owned());
        assert_eq!(what("a"), number("1.10"));
        assert_eq!(what("b"), number("0644"));
        assert_eq!(what("c"), What::Bool(false, "no".to_owned()));
        assert_eq!(what("d"), What::Text("no".to_owned()));
        assert_eq!(what("e"), number("1e3"));
        assert_eq!(what("f"), What::Null);
        assert_eq!(what("g"), number("12_000"));
        assert_eq!(what("h"), number("3.0"));
        assert_eq!(what("i"), number("3.0"));
        assert_eq!(what("j"), number("0x1F"));
        assert_eq!(what("k"), What::Text(".nan".to_owned()));
        assert_eq!(what("yes"), What::Text("x".to_owned()));
        assert_eq!(what("1.0"), What::Text("z".to_owned()));
    }

    #[test]
    fn everything_has_a_place_and_merged_members_that_of_their_origin() {
        let yaml = read("base: &base\n  cpu: 1\nrest:\n  <<: *base\n  list: [a, é, b]\n").unwrap();
        let place = |line, column| Place { line, column };
        let rest = member(&yaml, "rest");
        assert_eq!(member(rest, "cpu").place, place(2, 8));
        assert_eq!(member(rest, "cpu").what, What::Number("1".to_owned()));
        let What::List(items) = &member(rest, "list").what else {
            panic!("no list")
        };
        assert_eq!(items[2].place, place(5, 16));
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        let error = read("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.place.line >= 2, "{error:?}");
        assert!(read("a: 1\na: 2\n").is_err());
        assert_eq!(read("").unwrap().what, What::Null);
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
        assert!(read(bomb).is_err());
    }
}
