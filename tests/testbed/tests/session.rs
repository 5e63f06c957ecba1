//! Sessions that stay open.

use testbed::{Session, TestDatabase};

#[test]
fn statement_blocks_until_the_lock_is_given_back() {
    let database = TestDatabase::create(testbed::source(), "session").unwrap();
    database.psql("create table t (id int)").unwrap();
    let (mut holder, mut waiter) = (database.session().unwrap(), database.session().unwrap());
    holder.run("begin").unwrap();
    holder.run("lock table t in access exclusive mode").unwrap();
    waiter.begin("insert into t values (1) returning id").unwrap();
    waiter.wait_blocked(database.cluster()).unwrap();
    holder.run("commit").unwrap();
    assert_eq!(waiter.finish().unwrap(), "1");
}

#[test]
fn error_carries_the_servers_message_and_leaves_the_session_usable() {
    let mut session = Session::open(testbed::source(), "postgres").unwrap();
    let error = session.run("select 1 / 0").unwrap_err().to_string();
    assert_eq!(error, "ERROR 22012 division by zero");
    assert_eq!(session.run("values (1, 'a'), (2, null)").unwrap(), "1|a\n2|");
}
