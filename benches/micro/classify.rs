//! The classifier at its levels: an exact hit, a hit on the normal form, and a miss.

use std::hint::black_box;

use pgweir_sql::{Classifier, Lexing, Settings};

use super::{least, print, sqlparser_time};

const LEXING: Lexing = Lexing { standard_conforming_strings: true };

const TEXTS: [(&str, &str); 4] = [
    ("BEGIN", "BEGIN"),
    ("pgbench update", "UPDATE pgbench_accounts SET abalance = abalance + 17 WHERE aid = 4711"),
    ("pgbench select", "SELECT abalance FROM pgbench_accounts WHERE aid = 4711"),
    (
        "join of three",
        "SELECT o.id, o.total, c.name, count(*) FROM orders o JOIN customers c ON c.id = o.customer_id \
         LEFT JOIN items i ON i.order_id = o.id WHERE o.created_at > now() - interval '7 days' AND c.country = 'CH' \
         GROUP BY o.id, o.total, c.name HAVING count(*) > 2 ORDER BY o.total DESC LIMIT 50",
    ),
];

pub(super) fn run() {
    for (name, text) in TEXTS {
        let mut classifier = Classifier::new(Settings::default(), 1);
        let beside = format!("sqlparser parses in {} ns", sqlparser_time(text).as_nanos());
        let miss = least(|| {
            let mut cold = Classifier::new(Settings { cache_entries: 1, ..Settings::default() }, 1);
            black_box(cold.classify(black_box(text.as_bytes()), LEXING, None));
        });
        print(&format!("classify, miss, {name}"), miss, &beside);
        let exact = least(|| {
            black_box(classifier.classify(black_box(text.as_bytes()), LEXING, None));
        });
        print(&format!("classify, same text again, {name}"), exact, "");
        let mut count = 0u64;
        let normal = least(|| {
            count += 1;
            let other = text.replace("4711", &count.to_string());
            black_box(classifier.classify(black_box(other.as_bytes()), LEXING, None));
        });
        print(&format!("classify, other literals, {name}"), normal, "with the making of the text");
    }
}
