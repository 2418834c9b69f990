//! Scripts of a client's messages, made from a seed.

use super::texts::{COPY_DATA, COPY_IN, PARAMETERS, TEXTS, WITH_PARAMETERS};
use crate::harness::{Random, message, parse, query, sync};

/// What one client says, in steps; it hears all answers to a step before it takes the next one.
#[derive(Clone)]
pub(super) struct Script(pub(super) Vec<Step>);

/// Messages that are sent together.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) said: Vec<Said>,
    pub(super) end: StepEnd,
}

/// One message, as bytes and as people read it.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) bytes: Vec<u8>,
    pub(super) shown: String,
}

/// How the client knows that it has heard all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StepEnd {
    /// Each Query, FunctionCall and Sync is answered by one ReadyForQuery.
    Ready,
    /// Each message is answered, or one of them by an error. The segment stays open.
    Flush,
    /// What comes back depends on what came before, so a mark is sent behind it.
    Mark,
}

impl Script {
    pub(super) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let steps = 3 + random.below(10);
        Self((0..steps).flat_map(|_| step(&mut random)).collect())
    }

    /// All scripts that lack one step or one message of this one, the shortest first. What a step is waited for by stays.
    pub(super) fn shorter(&self) -> Vec<Self> {
        let steps = self.0.len();
        let goes_on = |index: usize| index > 0 && self.0[index - 1].end == StepEnd::Flush;
        let without_step = (0..steps).rev().filter(|&index| !goes_on(index)).map(|index| {
            let mut script = self.clone();
            let pair = usize::from(script.0[index].end == StepEnd::Flush);
            script.0.drain(index..=(index + pair).min(steps - 1));
            script
        });
        let without_message = self.0.iter().enumerate().flat_map(|(index, step)| {
            let kept = usize::from(step.end != StepEnd::Mark);
            (0..step.said.len().saturating_sub(kept)).map(move |message| {
                let mut script = self.clone();
                script.0[index].said.remove(message);
                script
            })
        });
        without_step.chain(without_message).collect()
    }

    pub(super) fn prepares_transaction(&self) -> bool {
        let mut said = self.0.iter().flat_map(|step| &step.said);
        said.any(|said| said.shown.contains("PREPARE TRANSACTION"))
    }

    pub(super) fn shown(&self) -> String {
        let step = |step: &Step| {
            let said: Vec<&str> = step.said.iter().map(|said| said.shown.as_str()).collect();
            format!("\n    {}", said.join(" | "))
        };
        self.0.iter().map(step).collect()
    }
}

impl Step {
    /// How many ReadyForQuery answer it, if nothing is skipped.
    pub(super) fn ready(&self) -> usize {
        self.said.iter().filter(|said| matches!(said.bytes[0], b'Q' | b'F' | b'S')).count()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.said.iter().flat_map(|said| said.bytes.iter().copied()).collect()
    }
}

/// One step, or two that belong together.
fn step(random: &mut Random) -> Vec<Step> {
    let ready = |said| vec![Step { said, end: StepEnd::Ready }];
    match random.below(12) {
        0..=4 => ready(vec![simple(random)]),
        5 => ready((0..2 + random.below(3)).map(|_| simple(random)).collect()),
        6..=7 => ready([segment(random), vec![sync_said()]].concat()),
        8 => ready(
            (0..2).flat_map(|_| [segment(random), segment(random), vec![sync_said()]].concat()).collect(),
        ),
        9 => vec![
            Step {
                said: [segment(random), vec![said(message(b'H', b""), "Flush")]].concat(),
                end: StepEnd::Flush,
            },
            Step { said: [segment(random), vec![sync_said()]].concat(), end: StepEnd::Ready },
        ],
        10 => vec![Step { said: copy(random), end: StepEnd::Mark }],
        _ => vec![Step {
            said: (0..2 + random.below(7)).map(|_| anything(random)).collect(),
            end: StepEnd::Mark,
        }],
    }
}

fn said(bytes: Vec<u8>, shown: impl Into<String>) -> Said {
    Said { bytes, shown: shown.into() }
}

fn text(random: &mut Random) -> &'static str {
    let about = random.below(TEXTS.len());
    random.pick::<&str>(TEXTS[about])
}

fn simple(random: &mut Random) -> Said {
    let text = text(random);
    said(query(text), format!("{text:?}"))
}

fn sync_said() -> Said {
    said(sync(), "Sync")
}

/// A statement from Parse to Execute, most of the time as drivers do it.
fn segment(random: &mut Random) -> Vec<Said> {
    let (statement, portal) = (*random.pick(&["", "", "s1", "s2"]), *random.pick(&["", "", "", "p1"]));
    let (text, parameters) = match random.below(2) {
        0 => *random.pick(WITH_PARAMETERS),
        _ => (text(random), 0),
    };
    let mut said = Vec::new();
    if statement.is_empty() || random.below(3) > 0 {
        said.push(parse_said(statement, text));
    }
    if random.below(3) == 0 {
        said.push(describe(b'S', statement));
    }
    said.push(bind_said(random, portal, statement, parameters));
    if random.below(2) == 0 {
        said.push(describe(b'P', portal));
    }
    let rows = *random.pick(&[0, 0, 0, 2]);
    said.extend((0..if rows > 0 { 2 } else { 1 }).map(|_| execute_said(portal, rows)));
    if random.below(6) == 0 {
        said.push(close(b'S', statement));
    }
    said
}

/// Data for a COPY, with what may come among it. Absent: a Sync or a query behind data that ends the COPY by an error;
/// only the server knows at which byte it stopped to ignore them.
fn copy(random: &mut Random) -> Vec<Said> {
    let text = *random.pick(COPY_IN);
    let mut all = match random.below(3) {
        0 => vec![parse_said("", text), bind_said(random, "", "", 0), execute_said("", 0)],
        _ => vec![said(query(text), format!("{text:?}"))],
    };
    let is_good = random.below(2) == 0;
    for _ in 0..random.below(4) {
        all.push(match random.below(6) {
            0 if is_good => sync_said(),
            1 => said(message(b'H', b""), "Flush"),
            _ if is_good => copy_data(COPY_DATA[0]),
            _ => copy_data(random.pick::<&[u8]>(COPY_DATA)),
        });
    }
    all.push(match random.below(5) {
        0 => said(message(b'f', b"given up\0"), "CopyFail"),
        _ => said(message(b'c', b""), "CopyDone"),
    });
    if random.below(2) == 0 {
        all.push(sync_said());
    }
    all
}

fn copy_data(data: &[u8]) -> Said {
    said(message(b'd', data), format!("CopyData {:?}", String::from_utf8_lossy(data)))
}

fn anything(random: &mut Random) -> Said {
    let statement = *random.pick(&["", "s1", "s2", "nothing"]);
    let portal = *random.pick(&["", "p1", "c"]);
    match random.below(14) {
        0..=1 => simple(random),
        2 => parse_said(statement, text(random)),
        3 => parse_said(statement, random.pick(WITH_PARAMETERS).0),
        4..=5 => {
            let parameters = random.below(3);
            bind_said(random, portal, statement, parameters)
        }
        6 => describe(b'S', statement),
        7 => describe(b'P', portal),
        8..=9 => execute_said(portal, *random.pick(&[0, 1])),
        10 => {
            let name = *random.pick(&["", "s1", "p1"]);
            close(*random.pick(b"SP"), name)
        }
        11 => sync_said(),
        12 => said(message(b'H', b""), "Flush"),
        _ => match random.below(4) {
            0 => copy_data(COPY_DATA[0]),
            1 => said(message(b'c', b""), "CopyDone"),
            2 => division(1, 0),
            _ => division(7, 2),
        },
    }
}

fn parse_said(statement: &str, text: &str) -> Said {
    said(parse(statement, text), format!("Parse {statement:?} {text:?}"))
}

fn bind_said(random: &mut Random, portal: &str, statement: &str, parameters: usize) -> Said {
    let values: Vec<&str> = (0..parameters).map(|_| *random.pick(PARAMETERS)).collect();
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0"].concat();
    body.extend_from_slice(&u16::try_from(parameters).unwrap().to_be_bytes());
    for value in &values {
        body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.extend_from_slice(b"\0\0");
    said(message(b'B', &body), format!("Bind {portal:?} {statement:?} {values:?}"))
}

fn describe(kind: u8, name: &str) -> Said {
    said(message(b'D', &named(kind, name)), format!("Describe {} {name:?}", char::from(kind)))
}

fn close(kind: u8, name: &str) -> Said {
    said(message(b'C', &named(kind, name)), format!("Close {} {name:?}", char::from(kind)))
}

fn named(kind: u8, name: &str) -> Vec<u8> {
    [&[kind][..], name.as_bytes(), b"\0"].concat()
}

fn execute_said(portal: &str, rows: u32) -> Said {
    let body = [portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat();
    said(message(b'E', &body), format!("Execute {portal:?} {rows}"))
}

/// A FunctionCall of `int4div`, in binary.
fn division(dividend: i32, divisor: i32) -> Said {
    let mut body = [&154_u32.to_be_bytes()[..], &[0, 1, 0, 1, 0, 2]].concat();
    for argument in [dividend, divisor] {
        body.extend_from_slice(&4_u32.to_be_bytes());
        body.extend_from_slice(&argument.to_be_bytes());
    }
    body.extend_from_slice(&[0, 1]);
    said(message(b'F', &body), format!("FunctionCall {dividend} / {divisor}"))
}
