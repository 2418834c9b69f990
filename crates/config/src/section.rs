//! One table per section of `proxy.toml`: its keys, types, defaults, meanings and whether a reload is enough.
//!
//! Why here: the struct, its default, the reader, `SHOW CONFIG`, the shipped file and the manual all come out of
//! the same lines, so none of them can say something that the others do not.
//! Absent: what several keys mean together; that is `check`.

use std::path::Path;

use toml::de::DeValue;

use crate::fault::Refusal;

/// A section of `proxy.toml`, for documents and for the shipped file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionKeys {
    /// As it is written in the file, `NAME` standing for a name of the user's choice.
    pub path: &'static str,
    /// What it is about.
    pub meaning: String,
    /// Its keys, in the order of the file.
    pub keys: Vec<Key>,
}

/// One key of `proxy.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key itself.
    pub name: &'static str,
    /// What may be written, such as `duration` or `disable | allow | prefer`.
    pub kind: String,
    /// The default as it is written in the file; `None`: `inherits` says which key holds.
    pub default: Option<String>,
    /// The key of a wider section that holds where this one is not written.
    pub inherits: Option<String>,
    /// Whether a reload is enough for a change to hold.
    pub reloadable: bool,
    /// One line for people.
    pub meaning: String,
}

/// A value as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// A number or truth value.
    Bare(String),
    /// Nothing of its own: a wider section decides.
    Inherited,
    /// Several texts.
    List(Vec<String>),
    /// A password: kept so that changes are seen, never shown.
    Secret(String),
    /// Text in quotes.
    Text(String),
}

impl Written {
    /// For people: without quotes, and without secrets.
    pub(crate) fn shown(&self) -> String {
        match self {
            Written::Bare(text) | Written::Text(text) => text.clone(),
            Written::Inherited => String::new(),
            Written::List(texts) => texts.join(", "),
            Written::Secret(text) if text.is_empty() => String::new(),
            Written::Secret(_) => "********".to_owned(),
        }
    }

    /// For the file; `None` where nothing would be written.
    pub(crate) fn toml(&self) -> Option<String> {
        let quoted = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        match self {
            Written::Bare(text) => Some(text.clone()),
            Written::Inherited => None,
            Written::List(texts) => {
                Some(format!("[{}]", texts.iter().map(quoted).collect::<Vec<_>>().join(", ")))
            }
            Written::Secret(_) => Some("\"\"".to_owned()),
            Written::Text(text) => Some(quoted(text)),
        }
    }
}

/// A type that a key can have.
pub(crate) trait Setting: Sized {
    /// What may be written, for people.
    fn kind() -> String;
    /// Reads a value; relative paths start at `base`.
    fn read(value: &DeValue<'_>, base: &Path) -> Result<Self, Refusal>;
    /// The opposite of `read`.
    fn written(&self) -> Written;
}

/// What is known of a key without a value.
pub(crate) struct KeyFacts {
    pub(crate) name: &'static str,
    pub(crate) kind: fn() -> String,
    pub(crate) reloadable: bool,
    pub(crate) meaning: &'static [&'static str],
}

/// A section whose keys are known.
pub(crate) trait Section: Default {
    /// As written between brackets in the file.
    const PATH: &'static str;
    /// What it is about.
    const ABOUT: &'static [&'static str];
    /// All keys, in the order of the file.
    const KEYS: &'static [KeyFacts];
    /// Sets one key; `None` when there is no such key.
    fn set(&mut self, name: &str, value: &DeValue<'_>, base: &Path) -> Option<Result<(), Refusal>>;
    /// The values of all keys, in the order of `KEYS`.
    fn values(&self) -> Vec<Written>;
}

/// A section with its keys and their defaults.
pub(crate) fn keys<S: Section>() -> SectionKeys {
    let values = S::default().values();
    let keys = S::KEYS.iter().zip(values).map(|(facts, value)| key(facts, &value)).collect();
    SectionKeys { path: S::PATH, meaning: one_line(S::ABOUT), keys }
}

fn key(facts: &KeyFacts, default: &Written) -> Key {
    let meaning = one_line(facts.meaning);
    Key {
        name: facts.name,
        kind: (facts.kind)(),
        default: default.toml(),
        inherits: meaning.strip_prefix(INSTEAD_OF).map(|key| key.trim_end_matches('.').to_owned()),
        reloadable: facts.reloadable,
        meaning,
    }
}

/// The lines of a comment as one.
pub(crate) fn one_line(comment: &[&str]) -> String {
    comment.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// How the meaning of a key begins that goes before a key of a wider section.
const INSTEAD_OF: &str = "Instead of ";

/// Declares a section: `reload` or `restart`, the key, its type, its default; the comment is its meaning.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident $path:literal {
            $( $(#[doc = $meaning:literal])+ $when:ident $key:ident : $type:ty = $default:expr ; )+
        }
        $( + $(#[doc = $extra_meaning:literal])+ $extra:ident : $extra_type:ty )?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $meaning])+ pub $key: $type, )+
            $( $(#[doc = $extra_meaning])+ pub $extra: $extra_type, )?
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $( $key: $default, )+ $( $extra: <$extra_type>::default(), )? }
            }
        }

        impl $crate::section::Section for $name {
            const PATH: &'static str = $path;
            const ABOUT: &'static [&'static str] = &[$($about),+];
            const KEYS: &'static [$crate::section::KeyFacts] = &[
                $( $crate::section::KeyFacts {
                    name: stringify!($key),
                    kind: <$type as $crate::section::Setting>::kind,
                    reloadable: $crate::section::section!(@ $when),
                    meaning: &[$($meaning),+],
                }, )+
            ];

            fn set(
                &mut self,
                name: &str,
                value: &toml::de::DeValue<'_>,
                base: &std::path::Path,
            ) -> Option<Result<(), $crate::fault::Refusal>> {
                match name {
                    $( stringify!($key) => Some(
                        $crate::section::Setting::read(value, base).map(|read| self.$key = read),
                    ), )+
                    _ => None,
                }
            }

            fn values(&self) -> Vec<$crate::section::Written> {
                vec![ $( $crate::section::Setting::written(&self.$key), )+ ]
            }
        }
    };
    (@ reload) => { true };
    (@ restart) => { false };
}
pub(crate) use section;
