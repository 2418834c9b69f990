//! Sessions between a client's bytes and model backends.

mod apart;
mod bound;
mod copy;
mod ends;
mod extended;
mod frames;
mod held;
mod lent;
mod model;
mod noise;
mod question;
mod random;
mod reads;
mod replies;
mod route;
mod sequences;
mod settings;
mod shell;
mod simple;
mod simulation;
mod skipped;
mod stale;

use frames::shown;
use model::{Model, Shared};
use random::Random;
use shell::{Pieces, Shell};

use crate::NodeRole;

/// What a client gets that talks to one PostgreSQL.
fn directly(chunks: &[Vec<u8>], startup: &[(&str, &str)]) -> Vec<u8> {
    let mut model = Model::new(NodeRole::Primary, &Shared::default(), startup);
    chunks.iter().for_each(|chunk| model.receive(chunk));
    model.output
}

/// The client gets through us, byte for byte, what PostgreSQL says, however the bytes are cut. Each chunk is sent when
/// the one before it is answered.
fn check(chunks: &[Vec<u8>]) {
    check_with(chunks, &[]);
}

fn check_with(chunks: &[Vec<u8>], startup: &[(&str, &str)]) {
    let expected = directly(chunks, startup);
    let randoms = (0..20).map(|seed| Pieces::Random(Random::new(seed)));
    for pieces in [Pieces::Whole, Pieces::Of(1), Pieces::Of(5), Pieces::Of(7)].into_iter().chain(randoms) {
        let mut shell = Shell::new(shell::settings(startup), &Shared::default(), pieces.clone());
        for chunk in chunks {
            shell.ask(chunk);
        }
        assert_eq!(shown(&shell.received), shown(&expected), "{pieces:?}");
        assert_eq!(shell.received, expected, "{pieces:?}");
    }
}

/// A shell with fresh nodes, whose bytes arrive whole.
fn shell() -> Shell {
    Shell::new(shell::settings(&[]), &Shared::default(), Pieces::Whole)
}
