//! The part of YAML that `docker-compose.yml` is written in: nested mappings, lists of plain values, two spaces a level.
//!
//! Absent: anchors, flow style, multi-line strings. A line that is none of the above is an error, not a guess.

/// A value with the way to it, such as `services.pgweir.ports` for each of the ports.
#[derive(Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) line: usize,
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every value, in order; a key without one has an empty text. The error is the line that could not be read.
pub(crate) fn parse(text: &str) -> Result<Vec<Value>, usize> {
    let mut values = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let (indent, number) = (line.len() - content.len(), index + 1);
        if indent % 2 != 0 || indent / 2 > path.len() {
            return Err(number);
        }
        path.truncate(indent / 2);
        let text = if let Some(item) = content.strip_prefix("- ") {
            item
        } else {
            let (key, value) = content.split_once(':').ok_or(number)?;
            if !value.is_empty() && !value.starts_with(' ')
                || value.trim_start().starts_with(['&', '*', '|', '>', '{'])
            {
                return Err(number);
            }
            path.push(key);
            value
        };
        values.push(Value { line: number, path: path.join("."), text: unquoted(text).to_owned() });
    }
    Ok(values)
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_else(|| text.split(" #").next().unwrap_or(text).trim_end())
}

#[test]
fn reads_mappings_and_lists_and_refuses_the_rest() {
    let text = "services:\n  # one\n  a:\n    image: b:c\n    ports:\n      - \"1:2\"\nvolumes:\n  d:\n";
    let values = parse(text).expect("this is in the subset");
    let shown: Vec<String> = values.iter().map(|v| format!("{} {}={}", v.line, v.path, v.text)).collect();
    assert_eq!(
        shown,
        [
            "1 services=",
            "3 services.a=",
            "4 services.a.image=b:c",
            "5 services.a.ports=",
            "6 services.a.ports=1:2",
            "7 volumes=",
            "8 volumes.d="
        ]
    );
    assert_eq!(parse("a: &x\n"), Err(1));
    assert_eq!(parse("a:\n   b: c\n"), Err(2));
    assert_eq!(parse("nothing\n"), Err(1));
}
