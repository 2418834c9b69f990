use std::time::Duration;

use pgweir_auth::StoredSecret;
use tempfile::TempDir;

use super::*;
use crate::fixtures;

mod fake;

use fake::{FakePrimary, Reply};

const ASKING: &str = "[auth]\nmethod = \"scram-sha-256\"\nquery_user = \"looker\"\n";

/// Secrets that are looked up at `primary`, with `more` in the section `[auth]`.
fn secrets_at(primary: &FakePrimary, more: &str) -> Secrets {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("users.txt"), "\"ann\" \"from the file\"\n").unwrap();
    let text = format!("{ASKING}users_file = \"users.txt\"\n{more}");
    let config = Arc::new(fixtures::config(&text, dir.path()));
    let primary = primary.clone();
    Secrets::load(&config, Arc::new(move |_| primary.whereabouts())).unwrap()
}

async fn password(secrets: &Secrets, user: &str) -> Option<String> {
    match secrets.find(user, "shop").await? {
        StoredSecret::Plain(password) => Some(String::from_utf8(password.as_bytes().to_vec()).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// Lets time pass without waiting for it.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn the_file_goes_before_the_server() {
    let primary = FakePrimary::start().await;
    let secrets = secrets_at(&primary, "");
    primary.knows("bob", Reply::row("bob", Some("from the server")));
    assert_eq!(password(&secrets, "ann").await.as_deref(), Some("from the file"));
    assert_eq!(primary.questions(), 0);
    assert_eq!(password(&secrets, "bob").await.as_deref(), Some("from the server"));
    assert_eq!(primary.questions(), 1);
}

#[tokio::test]
async fn only_one_row_about_the_role_itself_is_an_answer() {
    let primary = FakePrimary::start().await;
    let secrets = secrets_at(&primary, "");
    primary.knows("expired", Reply::row("expired", None));
    primary.knows("mallory", Reply::row("postgres", Some("x")));
    primary.knows("twice", Reply::Rows(vec![("twice".to_owned(), Some("x".to_owned())); 2]));
    primary.knows("broken", Reply::Error("42501"));
    for user in ["expired", "mallory", "twice", "broken", "nobody"] {
        assert_eq!(password(&secrets, user).await, None, "{user}");
    }
    assert_eq!(primary.questions(), 5);
}

#[tokio::test]
async fn the_session_that_asks_has_settings_of_its_own() {
    let primary = FakePrimary::start().await;
    let secrets = secrets_at(&primary, "");
    password(&secrets, "bob").await;
    let startup = primary.startups().pop().unwrap();
    assert_eq!((startup.user.as_str(), startup.database.as_str()), ("looker", "shop"));
    assert_eq!(startup.setting("search_path"), Some("pg_catalog"));
    assert_eq!(startup.setting("application_name"), Some("pgweir auth_query"));
}

#[tokio::test]
async fn many_clients_of_a_role_ask_once() {
    let primary = FakePrimary::start().await;
    let secrets = Arc::new(secrets_at(&primary, ""));
    primary.knows("bob", Reply::row("bob", Some("x")));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let secrets = Arc::clone(&secrets);
        clients.spawn(async move { password(&secrets, "bob").await });
    }
    while let Some(found) = clients.join_next().await {
        assert_eq!(found.unwrap().as_deref(), Some("x"));
    }
    assert_eq!((primary.questions(), primary.startups().len()), (1, 1));
}

#[tokio::test]
async fn the_next_one_asks_when_the_first_leaves() {
    let primary = FakePrimary::start().await;
    let secrets = Arc::new(secrets_at(&primary, ""));
    primary.knows("bob", Reply::row("bob", Some("x")));
    let ask = || {
        let secrets = Arc::clone(&secrets);
        tokio::spawn(async move { password(&secrets, "bob").await })
    };
    let first = ask();
    while primary.startups().is_empty() {
        tokio::task::yield_now().await;
    }
    let second = ask();
    first.abort();
    assert_eq!(second.await.unwrap().as_deref(), Some("x"));
    assert_eq!((primary.questions(), primary.startups().len()), (1, 2));
}

#[tokio::test]
async fn answers_are_remembered_for_a_while() {
    let primary = FakePrimary::start().await;
    let secrets = secrets_at(&primary, "query_cache = \"30s\"\nquery_cache_negative = \"5s\"");
    primary.knows("bob", Reply::row("bob", Some("old")));
    assert_eq!(password(&secrets, "bob").await.as_deref(), Some("old"));
    assert_eq!(password(&secrets, "eve").await, None);
    primary.knows("bob", Reply::row("bob", Some("new")));
    primary.knows("eve", Reply::row("eve", Some("there")));
    pass(Duration::from_secs(4)).await;
    assert_eq!(password(&secrets, "eve").await, None);
    pass(Duration::from_secs(2)).await;
    assert_eq!(password(&secrets, "eve").await.as_deref(), Some("there"));
    assert_eq!(password(&secrets, "bob").await.as_deref(), Some("old"));
    pass(Duration::from_secs(25)).await;
    assert_eq!(password(&secrets, "bob").await.as_deref(), Some("new"));
    assert_eq!((primary.questions(), primary.startups().len()), (4, 1));
}

#[tokio::test]
async fn what_failed_is_asked_again() {
    let primary = FakePrimary::start().await;
    let secrets = secrets_at(&primary, "");
    primary.knows("bob", Reply::row("bob", Some("x")));
    primary.lose();
    assert_eq!(password(&secrets, "bob").await, None);
    primary.find();
    assert_eq!(password(&secrets, "bob").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn a_connection_that_died_is_replaced() {
    let primary = FakePrimary::start().await;
    let secrets = secrets_at(&primary, "query_cache = \"0s\"");
    primary.knows("bob", Reply::row("bob", Some("x")));
    for _ in 0..3 {
        assert_eq!(password(&secrets, "bob").await.as_deref(), Some("x"));
        primary.hang_up().await;
    }
    assert_eq!((primary.questions(), primary.startups().len()), (3, 3));
}

#[tokio::test]
async fn questions_follow_the_primary() {
    let old = FakePrimary::start().await;
    let secrets = secrets_at(&old, "query_cache = \"0s\"");
    old.knows("bob", Reply::row("bob", Some("old")));
    assert_eq!(password(&secrets, "bob").await.as_deref(), Some("old"));
    let new = FakePrimary::start().await;
    new.knows("bob", Reply::row("bob", Some("new")));
    old.move_to(&new);
    assert_eq!(password(&secrets, "bob").await.as_deref(), Some("new"));
    assert_eq!((old.questions(), new.questions()), (1, 1));
}

#[tokio::test]
async fn a_database_that_does_not_exist_keeps_nobody_from_logging_in() {
    let primary = FakePrimary::start().await;
    let secrets = secrets_at(&primary, "");
    primary.lacks("shop");
    primary.knows("bob", Reply::row("bob", Some("x")));
    assert_eq!(password(&secrets, "bob").await.as_deref(), Some("x"));
    let databases: Vec<_> = primary.startups().into_iter().map(|startup| startup.database).collect();
    assert_eq!(databases, ["shop", "postgres"]);
}

#[tokio::test]
async fn the_console_asks_where_there_is_a_database() {
    let primary = FakePrimary::start().await;
    let secrets = secrets_at(&primary, "");
    primary.knows("bob", Reply::row("bob", Some("x")));
    assert!(secrets.find("bob", "pgbouncer").await.is_some());
    assert_eq!(primary.startups().pop().unwrap().database, "postgres");
}

#[tokio::test]
async fn a_role_is_looked_up_in_the_cluster_of_its_database() {
    let (shop, bank) = (FakePrimary::start().await, FakePrimary::start().await);
    shop.knows("bob", Reply::row("bob", Some("shop")));
    let text = format!(
        "{ASKING}[database.shop]\ncluster = \"main\"\n[database.bank]\ncluster = \"other\"\n\
         [[cluster.other.node]]\naddress = \"127.0.0.1:5433\"\n"
    );
    let config = Arc::new(fixtures::config(&text, std::path::Path::new("")));
    let (at_shop, at_bank) = (shop.clone(), bank.clone());
    let primary_of = move |cluster: &str| match cluster {
        "main" => at_shop.whereabouts(),
        _ => at_bank.whereabouts(),
    };
    let secrets = Secrets::load(&config, Arc::new(primary_of)).unwrap();
    assert!(secrets.find("bob", "shop").await.is_some());
    assert!(secrets.find("bob", "bank").await.is_none());
    assert!(secrets.find("bob", "elsewhere").await.is_none());
    assert_eq!((shop.questions(), bank.questions()), (1, 1));
}

#[test]
fn a_users_file_that_cannot_be_used_is_an_error() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("users.txt");
    std::fs::write(&file, "\"ann\" \"x\"\n\"bob\n").unwrap();
    let config = fixtures::config("[auth]\nusers_file = \"users.txt\"", dir.path());
    let load = || Secrets::load(&Arc::new(config.clone()), Arc::new(|_| None)).err().unwrap().to_string();
    assert!(load().starts_with(&format!("{}: ", file.display())), "{}", load());
    std::fs::remove_file(&file).unwrap();
    assert!(load().starts_with(&format!("cannot read {}: ", file.display())), "{}", load());
}
