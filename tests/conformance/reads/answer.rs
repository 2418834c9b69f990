//! What a server answered to one query, as far as a client can tell answers apart.

use pgweir_sandbox::client::Message;

/// The messages of one reply, without what says nothing about the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    messages: Vec<Message>,
    /// The transaction status at its end.
    pub(super) status: u8,
}

/// How two answers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    Same,
    /// The same rows in another order.
    OtherOrder,
    Different,
}

impl Answer {
    /// Takes one message; true if it was the last.
    pub(super) fn add(&mut self, message: &Message) -> bool {
        match message.tag {
            b'Z' => self.status = message.body.first().copied().unwrap_or_default(),
            // A parameter's value and a notification belong to the session.
            b'S' | b'A' => {}
            b'E' | b'N' => self.messages.push(Message { tag: message.tag, body: said(&message.body) }),
            _ => self.messages.push(message.clone()),
        }
        message.tag == b'Z'
    }

    pub(super) fn compare(&self, other: &Answer) -> Agreement {
        if self.messages == other.messages {
            return Agreement::Same;
        }
        let sorted = |answer: &Answer| {
            let mut messages: Vec<_> = answer.messages.iter().map(|m| (m.tag, m.body.clone())).collect();
            messages.sort();
            messages
        };
        if sorted(self) == sorted(other) { Agreement::OtherOrder } else { Agreement::Different }
    }

    /// The SQLSTATE and text of the error, if it is one.
    pub(super) fn error(&self) -> Option<String> {
        let error = self.messages.iter().find(|message| message.tag == b'E')?;
        Some(String::from_utf8_lossy(&error.body).replace('\0', " ").trim().to_owned())
    }

    /// The values of its first row.
    pub(super) fn row(&self) -> Vec<String> {
        let row = self.messages.iter().find(|message| message.tag == b'D').expect("there is a row");
        let mut rest = row.body.get(2..).unwrap_or_default();
        let mut values = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            let (value, behind) = behind.split_at(length);
            values.push(String::from_utf8_lossy(value).into_owned());
            rest = behind;
        }
        values
    }

    /// The first line in which it is another answer, for people.
    pub(super) fn difference(&self, other: &Answer) -> String {
        let shown = |message: Option<&Message>| {
            let text = message.map_or("nothing".into(), |m| String::from_utf8_lossy(&m.body).into_owned());
            text.chars().filter(|letter| !letter.is_control()).take(300).collect::<String>()
        };
        let at = (0..).find(|at| self.messages.get(*at) != other.messages.get(*at)).unwrap_or_default();
        format!("{} | {}", shown(self.messages.get(at)), shown(other.messages.get(at)))
    }
}

/// The fields of an error or notice without those that tell the place in PostgreSQL's sources.
fn said(body: &[u8]) -> Vec<u8> {
    let fields = body.split(|byte| *byte == 0);
    let told = fields.filter(|field| !matches!(field.first(), None | Some(b'F' | b'L' | b'R')));
    told.collect::<Vec<_>>().join(&0)
}

#[test]
fn answers_compare_by_what_a_client_sees() {
    let answer = |messages: &[(u8, &[u8])]| {
        let mut answer = Answer::default();
        for (tag, body) in messages {
            answer.add(&Message { tag: *tag, body: body.to_vec() });
        }
        answer
    };
    let rows = answer(&[(b'D', b"a"), (b'D', b"b"), (b'Z', b"I")]);
    assert_eq!(rows.compare(&answer(&[(b'S', b"x"), (b'D', b"a"), (b'D', b"b")])), Agreement::Same);
    assert_eq!(rows.compare(&answer(&[(b'D', b"b"), (b'D', b"a")])), Agreement::OtherOrder);
    assert_eq!(rows.compare(&answer(&[(b'D', b"a")])), Agreement::Different);
    let failed = |line: &str| answer(&[(b'E', format!("SERROR\0C22012\0Mno\0L{line}\0\0").as_bytes())]);
    assert_eq!(failed("1").compare(&failed("2")), Agreement::Same);
    assert_eq!(failed("1").error().unwrap(), "SERROR C22012 Mno");
}
