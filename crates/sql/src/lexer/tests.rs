//! Where PostgreSQL's scanner ends a token.

use super::*;

/// The tokens of a text, separated by bars.
fn cut(text: &str, backslashes: bool) -> String {
    let tokens = Lexer::new(text.as_bytes(), backslashes);
    let parts: Vec<String> = tokens
        .map(|token| {
            let raw = &text[token.start as usize..token.end as usize];
            if token.kind == TokenKind::Unterminated { "unterminated".to_owned() } else { raw.to_owned() }
        })
        .collect();
    parts.join("|")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(cut(text, false), expected, "{text}");
}

#[test]
fn words_and_numbers() {
    check("select a_1$ FROM Tàb", "select|a_1$|FROM|Tàb");
    check("1 1.5 .5 1e5 1.5e-3 1. 0x1F 0b01 1_000", "1|1.5|.5|1e5|1.5e-3|1.|0x1F|0b01|1_000");
    check("1nextval 1e 1..2 0x $1a t.1", "1|nextval|1|e|1|.|.2|0|x|$1|a|t|.1");
    check("a.b.* (c)[1]", "a|.|b|.|*|(|c|)|[|1|]");
}

#[test]
fn strings() {
    check("'a''b' 'c\\' x", "'a''b'|'c\\'|x");
    check("e'a\\'b' E'\\\\' x", "e'a\\'b'|E'\\\\'|x");
    check("b'1' X'f' n'x' u&'\\' U&\"a\"\"b\" u & 'x'", "b'1'|X'f'|n'x'|u&'\\'|U&\"a\"\"b\"|u|&|'x'");
    check("fe'x'", "fe|'x'");
    check("'a' 'b'", "'a'|'b'");
    check("'a' -- c\n 'b' x", "'a' -- c\n 'b'|x");
    check("e'a'\n'b\\' x'", "e'a'\n'b\\' x'");
    check("'a' /* c\n */ 'b'", "'a'|'b'");
    assert_eq!(cut("'a\\' b' e'\\'' x'\\'", true), "'a\\' b'|e'\\''|x'\\'");
}

#[test]
fn dollar_quotes() {
    check("$$a'b$$ $t$ $$ $T$ $t$ x", "$$a'b$$|$t$ $$ $T$ $t$|x");
    check("a$$b$$ x", "a$$b$$|x");
    check("$1$2 $ $a", "$1|$2|$|$|a");
    check("$ë$a$ë$", "$ë$a$ë$");
}

#[test]
fn comments_and_operators() {
    check("a--b\nc/*d/*e*/f*/g", "a|c|g");
    check("a+--b\n-c", "a|+|-|c");
    check("a*/*b*/c", "a|*|c");
    check("a<-1 a=-1 @-1 a<>-b ->> #>- ||/", "a|<|-|1|a|=|-|1|@-|1|a|<>|-|b|->>|#>-|||/");
    check("a::b:=c=>d:e", "a|::|b|:=|c|=>|d|:|e");
    check("++ +-", "+|+|+|-");
    check("<+-+@<-- x", "<+-+@<");
    check("@<+-+", "@<+-+");
    check("<+-+", "<|+|-|+");
}

#[test]
fn what_is_never_closed() {
    for text in ["'a", "e'a\\'", "\"a", "$$a", "$a$b$A$", "/*/*a*/", "u&'a", "U&\"a"] {
        check(text, "unterminated");
    }
    check("a /*", "a|unterminated");
    assert_eq!(cut("'a\\'", true), "unterminated");
}

#[test]
fn names_fold_as_postgresql_folds_them() {
    let fold = |text: &str| {
        let token = Lexer::new(text.as_bytes(), false).next().expect("a token");
        folded(text.as_bytes(), token)
    };
    assert_eq!(fold("AbC").as_deref(), Some("abc"));
    assert_eq!(fold("\"A\"\"b\"").as_deref(), Some("A\"b"));
    assert_eq!(fold(&"ab".repeat(40)).map(|name| name.len()), Some(63));
    assert_eq!(fold(&"é".repeat(40)).map(|name| name.len()), Some(62));
    assert_eq!(fold("U&\"a\""), None);
    assert_eq!(fold("'a'"), None);
}
