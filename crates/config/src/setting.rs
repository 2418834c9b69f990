//! The plain types that a key can have, and how each is read and written.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;

use crate::address::ListenAddress;
use crate::fault::{Fault, Refusal};
use crate::secret::Secret;
use crate::section::{Setting, Written};

/// A value of a narrow section, or none: then the wider section decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Override<T> {
    /// The wider section decides.
    #[default]
    Inherited,
    /// Set here.
    Own(T),
}

impl<T> Override<T> {
    /// Puts the own value, if there is one, in the place of the wider section's.
    pub(crate) fn apply(&self, to: &mut T)
    where
        T: Clone,
    {
        if let Override::Own(value) = self {
            to.clone_from(value);
        }
    }
}

/// Permission bits of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// From bits as `chmod` has them.
    pub const fn new(bits: u32) -> Self {
        FileMode(bits & 0o7777)
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// The text of a string value.
pub(crate) fn text<'a>(value: &'a DeValue<'_>) -> Result<&'a str, Refusal> {
    match value {
        DeValue::String(text) => Ok(text),
        _ => Err(wrong_type("text in quotes", value)),
    }
}

/// Says what was wanted and what stands there.
pub(crate) fn wrong_type(wanted: &'static str, value: &DeValue<'_>) -> Refusal {
    let found = match value {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Integer(_) => "a number",
        DeValue::String(_) => "text",
        DeValue::Table(_) => "a section",
    };
    Fault::WrongType { wanted, found }.into()
}

/// A number from `least` up to what 32 bits hold.
fn count(value: &DeValue<'_>, least: u32) -> Result<u32, Refusal> {
    let out_of_range = |given: &str| {
        let (least, most) = (least.to_string(), u32::MAX.to_string());
        Refusal::from(Fault::OutOfRange { given: given.to_owned(), least, most })
    };
    match value {
        DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| *number >= least)
            .ok_or_else(|| out_of_range(&number.to_string())),
        DeValue::String(given) if given.parse::<u32>().is_ok() => {
            Err(wrong_type("a number", value).advise(Some(format!("write {given} without quotes"))))
        }
        _ => Err(wrong_type("a number", value)),
    }
}

impl Setting for u32 {
    fn kind() -> String {
        "number".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        count(value, 0)
    }

    fn written(&self) -> Written {
        Written::Bare(self.to_string())
    }
}

impl Setting for NonZeroU32 {
    fn kind() -> String {
        "number".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        let number = count(value, 1)?;
        Ok(NonZeroU32::new(number).expect("count() was told that 1 is the least"))
    }

    fn written(&self) -> Written {
        Written::Bare(self.to_string())
    }
}

impl Setting for Option<NonZeroU32> {
    fn kind() -> String {
        "number".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        count(value, 0).map(NonZeroU32::new)
    }

    fn written(&self) -> Written {
        Written::Bare(self.map_or(0, NonZeroU32::get).to_string())
    }
}

impl Setting for String {
    fn kind() -> String {
        "text".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        text(value).map(str::to_owned)
    }

    fn written(&self) -> Written {
        Written::Text(self.clone())
    }
}

impl Setting for Option<String> {
    fn kind() -> String {
        "text".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        text(value).map(|text| (!text.is_empty()).then(|| text.to_owned()))
    }

    fn written(&self) -> Written {
        Written::Text(self.clone().unwrap_or_default())
    }
}

impl Setting for Option<Secret<String>> {
    fn kind() -> String {
        "text".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        text(value).map(|text| (!text.is_empty()).then(|| Secret::new(text.to_owned())))
    }

    fn written(&self) -> Written {
        Written::Secret(self.as_ref().map_or_else(String::new, |secret| secret.reveal().clone()))
    }
}

impl Setting for Option<PathBuf> {
    fn kind() -> String {
        "path".to_owned()
    }

    fn read(value: &DeValue<'_>, base: &Path) -> Result<Self, Refusal> {
        text(value).map(|text| (!text.is_empty()).then(|| base.join(text)))
    }

    fn written(&self) -> Written {
        Written::Text(self.as_ref().map_or_else(String::new, |path| path.display().to_string()))
    }
}

impl Setting for FileMode {
    fn kind() -> String {
        "file mode".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        if let DeValue::Integer(number) = value {
            let advice = format!("write \"0{}\"", number.as_str());
            return Err(wrong_type("a file mode in quotes", value).advise(Some(advice)));
        }
        let given = text(value)?;
        let bits = u32::from_str_radix(given, 8).ok().filter(|bits| *bits <= 0o7777);
        let fault = || Fault::BadFileMode { given: given.to_owned() };
        bits.map(FileMode).ok_or_else(|| Refusal::new(fault(), "write octal digits as for chmod: \"0770\""))
    }

    fn written(&self) -> Written {
        Written::Text(format!("0{:03o}", self.0))
    }
}

impl Setting for Vec<String> {
    fn kind() -> String {
        "list of text".to_owned()
    }

    fn read(value: &DeValue<'_>, base: &Path) -> Result<Self, Refusal> {
        read_list(value, base)
    }

    fn written(&self) -> Written {
        Written::List(self.clone())
    }
}

impl Setting for Vec<ListenAddress> {
    fn kind() -> String {
        "host:port, or a list of them".to_owned()
    }

    fn read(value: &DeValue<'_>, base: &Path) -> Result<Self, Refusal> {
        read_list(value, base)
    }

    fn written(&self) -> Written {
        match self.as_slice() {
            [only] => only.written(),
            several => Written::List(several.iter().map(ToString::to_string).collect()),
        }
    }
}

/// A list, or one value that stands for a list of one.
fn read_list<T: Setting>(value: &DeValue<'_>, base: &Path) -> Result<Vec<T>, Refusal> {
    match value {
        DeValue::Array(items) => {
            let read = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
                T::read(item.get_ref(), base).map_err(|refusal| Refusal { element: Some(index), ..refusal })
            };
            items.iter().enumerate().map(read).collect()
        }
        _ => T::read(value, base).map(|only| vec![only]),
    }
}

impl<T: Setting> Setting for Override<T> {
    fn kind() -> String {
        T::kind()
    }

    fn read(value: &DeValue<'_>, base: &Path) -> Result<Self, Refusal> {
        T::read(value, base).map(Override::Own)
    }

    fn written(&self) -> Written {
        match self {
            Override::Inherited => Written::Inherited,
            Override::Own(value) => value.written(),
        }
    }
}
