use super::*;

/// A conversation with everything in it.
fn conversation() -> Vec<u8> {
    let mut bytes = simple("SHOW POOLS");
    say::frame(&mut bytes, b'P', &[b"s\0SHOW STATS\0\0\0"]);
    say::frame(&mut bytes, b'D', &[b"Ss\0"]);
    say::frame(&mut bytes, b'B', &[b"p\0s\0\0\0\0\0\0\x01\0\x01"]);
    say::frame(&mut bytes, b'E', &[b"p\0\0\0\0\0"]);
    say::frame(&mut bytes, b'C', &[b"Pp\0"]);
    say::frame(&mut bytes, b'H', &[]);
    say::frame(&mut bytes, b'P', &[b"\0no such\0\0\0"]);
    say::frame(&mut bytes, b'E', &[b"\0\0\0\0\0"]);
    bytes.extend_from_slice(say::SYNC);
    say::frame(&mut bytes, b'd', &[b"left over"]);
    say::frame(&mut bytes, b'F', &[b"\0\0\0\0"]);
    bytes.extend_from_slice(&simple("SET timezone = 'UTC'"));
    bytes
}

/// Feeds what has come so far again and again, as a socket would.
fn feed_split(console: &mut Console, bytes: &[u8], at: usize) -> Vec<u8> {
    let (mut out, mut taken) = (Vec::new(), 0);
    for until in [at, bytes.len()] {
        while let Ok(more @ 1..) = console.on_client(&bytes[taken..until], &mut out) {
            taken += more;
        }
    }
    out
}

#[test]
fn it_does_not_matter_where_the_bytes_are_split() {
    let bytes = conversation();
    let (whole, ended) = feed(&mut console(Privilege::Admin), &bytes);
    assert_eq!(ended, None);
    assert_eq!(tags(&messages(&whole)), "TDCZ1tT2DC3EZEZNCZ");
    for at in 0..=bytes.len() {
        assert_eq!(feed_split(&mut console(Privilege::Admin), &bytes, at), whole, "split at {at}");
    }
    let (mut byte_by_byte, mut taken) = (Vec::new(), 0);
    let mut console = console(Privilege::Admin);
    for until in 1..=bytes.len() {
        taken += console.on_client(&bytes[taken..until], &mut byte_by_byte).unwrap();
    }
    assert_eq!(byte_by_byte, whole);
}

#[test]
fn lengths_that_cannot_be_end_the_session() {
    for (bytes, sqlstate) in [
        (&b"Q\0\0\0\0"[..], "08P01"),
        (b"Q\0\0\0\x03", "08P01"),
        (b"Q\xFF\xFF\xFF\xFF", "08P01"),
        (b"P\x80\0\0\0", "08P01"),
        (b"Q\x7F\xFF\xFF\xFF", "54000"),
        (b"B\0\x01\0\x05", "54000"),
        (b"!", "08P01"),
        (b"p\0\0\0\x04", "08P01"),
    ] {
        let (out, ended) = feed(&mut console(Privilege::Admin), bytes);
        assert!(matches!(ended, Some(Ended::Broken(_))), "{bytes:?}");
        let answer = messages(&out);
        assert_eq!((tags(&answer).as_str(), said(&answer).0.as_str()), ("E", sqlstate), "{bytes:?}");
        assert!(ErrorFields::new(&answer[0].1).is_fatal());
    }
}

#[test]
fn the_longest_message_is_still_read() {
    let text = format!("SHOW VERSION{}", " ".repeat(BODY_BYTES_MAX - 13));
    assert_eq!(tags(&ask(Privilege::Stats, &text)), "TDCZ");
}

#[test]
fn good_bye_ends_the_session_without_a_word() {
    for before in [&b""[..], b"E\0\0\0\x0Anone\0\0"] {
        let bytes = [before, say::TERMINATE].concat();
        let (_, ended) = feed(&mut console(Privilege::Stats), &bytes);
        assert_eq!(ended, Some(Ended::Terminated));
    }
}

#[test]
fn text_that_is_not_utf8_is_no_command() {
    let mut bytes = Vec::new();
    say::query(&mut bytes, b"SHOW \xFF\xFE");
    let (out, ended) = feed(&mut console(Privilege::Admin), &bytes);
    assert_eq!((tags(&messages(&out)).as_str(), ended), ("EZ", None));
}

#[test]
fn noise_never_panics_and_every_answer_is_whole() {
    let good = conversation();
    for seed in 1..=3_000u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let bytes: Vec<u8> = if seed % 3 == 0 {
            (0..next() % 200).map(|_| next() as u8).collect()
        } else {
            let mut bytes = good.clone();
            for _ in 0..=next() % 6 {
                let at = (next() as usize) % bytes.len();
                bytes[at] = next() as u8;
            }
            bytes
        };
        let (out, ended) = feed(&mut console(Privilege::Admin), &bytes);
        let answer = messages(&out);
        if let Some(Ended::Broken(_)) = ended {
            assert_eq!(answer.last().map(|(tag, _)| *tag), Some(b'E'), "seed {seed}");
        }
    }
}
