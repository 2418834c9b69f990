//! Texts that somebody broke: whatever is left of them, the classifier's promises hold.
//!
//! Seeded and bounded, so that every run of the tests is a small fuzzer; `MUTATION_SEED=n` tries others.

use super::*;

/// A text of the tables with a few bytes or tokens changed, taken away, or brought from another text.
fn mutated(cases: &[Case], random: &mut Random) -> Vec<u8> {
    let text = |random: &mut Random| cases[random.below(cases.len())].sql.clone().into_bytes();
    let mut mutant = text(random);
    for _ in 0..=random.below(3) {
        let other = text(random);
        let (at, from) = (random.below(mutant.len() + 1), random.below(other.len() + 1));
        let end = mutant.len().min(at + random.below(12));
        match random.below(7) {
            0 => drop(mutant.drain(at..end)),
            1 => drop(mutant.splice(at..end, other[from..].iter().copied())),
            2 => mutant.truncate(at),
            3 => drop(mutant.splice(at..at, random.pick(SPLINTERS).bytes())),
            4 => mutant.extend_from_slice(&other[..from]),
            5 => mutant.insert(at, random.below(256) as u8),
            _ => swap_tokens(&mut mutant, random),
        }
    }
    mutant
}

fn swap_tokens(text: &mut Vec<u8>, random: &mut Random) {
    let tokens: Vec<Token> = Lexer::new(text, false).collect();
    if tokens.len() < 2 {
        return;
    }
    let at = random.below(tokens.len() - 1);
    let (first, second) = (tokens[at], tokens[at + 1]);
    let swapped = [second.of(text), b" ", first.of(text)].concat();
    text.splice(first.start as usize..second.end as usize, swapped);
}

/// The text with a comment or blank between two of its tokens where there was one before.
fn with_blank(text: &[u8], random: &mut Random) -> Vec<u8> {
    let tokens: Vec<Token> = Lexer::new(text, false).collect();
    let mut gaps =
        tokens.windows(2).filter(|pair| pair[0].end < pair[1].start).map(|pair| pair[0].end as usize);
    let Some(at) = gaps.clone().nth(random.below(gaps.clone().count().max(1))).or_else(|| gaps.next()) else {
        return text.to_vec();
    };
    // A newline would join two strings, so there is none before the rest of the gap.
    [&text[..at], random.pick(&[" ", "/* ' */", "\t/* ; DELETE */", " /*/**/*/"]).as_bytes(), &text[at..]]
        .concat()
}

#[test]
fn a_broken_text_gets_the_same_answer_from_all_caches_and_no_better_one_for_a_comment() {
    let seed = std::env::var("MUTATION_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let cases = cases();
    let catalog = rows(include_str!("../../catalog/fixture.txt"));
    let naming = naming(&catalog, SearchPath::Default);
    let (mut warm, mut tiny) =
        (fresh(), Classifier::new(Settings { cache_entries: 2, ..Settings::default() }, 3));
    let mut reads = 0;
    for _ in 0..4_000 {
        let text = mutated(&cases, &mut random);
        let lexing = Lexing { standard_conforming_strings: random.below(8) > 0 };
        let naming = (random.below(2) == 0).then_some(&*naming);
        let cold = fresh().classify(&text, lexing, naming);
        let shown = String::from_utf8_lossy(&text);
        for classifier in [&mut warm, &mut tiny] {
            for _ in 0..2 {
                assert_eq!(classifier.classify(&text, lexing, naming), cold, "{shown}");
            }
        }
        let blank = fresh().classify(&with_blank(&text, &mut random), lexing, naming);
        assert_eq!(blank.target, cold.target, "{shown}");
        reads += usize::from(cold.target == Target::Standby);
    }
    assert!(reads > 100, "broken texts are all writes: {reads}");
}

const SPLINTERS: &[&str] = &[
    "'",
    "\"",
    "$$",
    "$a$",
    "/*",
    "*/",
    "--",
    "\n",
    "\\",
    "E'",
    "U&\"",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    ".",
    "::",
    " AS ",
    " INTO ",
    " FOR ",
    " UPDATE ",
    " WITH ",
    " DELETE ",
    " FROM ",
    " nextval(",
    " my_type ",
    "\0",
    " COLUMNS ",
    " IN (",
    " VALUES (",
];
