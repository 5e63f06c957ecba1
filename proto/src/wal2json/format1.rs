//! Format version 1: one object per transaction.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::value::{self, Text};
use super::{Change, ChangeKind, Column, Message, Wal2jsonError};

/// A transaction.
#[derive(Deserialize)]
struct Object<'a> {
    xid: Option<u32>,
    #[serde(borrow)]
    nextlsn: Option<Text<'a>>,
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    change: Vec<ChangeObject<'a>>,
}

/// A change; lists of equal length belong together.
#[derive(Deserialize)]
struct ChangeObject<'a> {
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    schema: Option<Text<'a>>,
    #[serde(borrow)]
    table: Option<Text<'a>>,
    #[serde(borrow, default)]
    columnnames: Vec<Text<'a>>,
    #[serde(borrow)]
    columntypes: Option<Vec<Text<'a>>>,
    columntypeoids: Option<Vec<u32>>,
    #[serde(borrow, default)]
    columnvalues: Vec<&'a RawValue>,
    #[serde(borrow)]
    oldkeys: Option<Keys<'a>>,
}

/// What identified a row.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow, default)]
    keynames: Vec<Text<'a>>,
    #[serde(borrow)]
    keytypes: Option<Vec<Text<'a>>>,
    keytypeoids: Option<Vec<u32>>,
    #[serde(borrow, default)]
    keyvalues: Vec<&'a RawValue>,
}

/// Decodes one object; messages of applications are left out.
pub(super) fn decode(text: &str) -> Result<Message<'_>, Wal2jsonError> {
    let object: Object<'_> = serde_json::from_str(text)?;
    let boundary =
        value::boundary(object.xid, None, object.nextlsn.as_ref(), object.timestamp.as_ref())?;
    let is_message = |change: &ChangeObject<'_>| change.kind.0 == "message";
    // What does not belong to a transaction is written like one without id; it is a message alone.
    if object.change.first().is_some_and(is_message) && object.change.len() == 1 {
        let has_boundary = object.xid.is_some() || object.nextlsn.is_some();
        if !has_boundary && text.contains("\"transactional\":false") {
            return Ok(Message::Message);
        }
    }
    let changes = object.change.into_iter().filter(|change| !is_message(change));
    let changes = changes.map(change).collect::<Result<_, _>>()?;
    Ok(Message::Transaction(boundary, changes))
}

/// One change.
fn change(object: ChangeObject<'_>) -> Result<Change<'_>, Wal2jsonError> {
    let kind = match object.kind.0.as_ref() {
        "insert" => ChangeKind::Insert,
        "update" => ChangeKind::Update,
        "delete" => ChangeKind::Delete,
        "truncate" => ChangeKind::Truncate,
        other => {
            let found = other.escape_debug();
            return Err(Wal2jsonError(format!("expected a kind of change, found \"{found}\"")));
        }
    };
    let Some(table) = object.table else {
        return Err(Wal2jsonError("a change names no table".to_owned()));
    };
    let names = object.columnnames;
    let columns = columns(names, object.columntypes, object.columntypeoids, object.columnvalues)?;
    let identity = object
        .oldkeys
        .map(|keys| self::columns(keys.keynames, keys.keytypes, keys.keytypeoids, keys.keyvalues));
    Ok(Change {
        kind,
        schema: object.schema.map_or(Cow::Borrowed(""), |text| text.0),
        table: table.0,
        columns,
        identity: identity.transpose()?,
    })
}

/// The columns of lists that belong together.
fn columns<'a>(
    names: Vec<Text<'a>>,
    types: Option<Vec<Text<'a>>>,
    oids: Option<Vec<u32>>,
    values: Vec<&'a RawValue>,
) -> Result<Vec<Column<'a>>, Wal2jsonError> {
    let count = names.len();
    let fits = |length: usize| length == count;
    let all_fit = fits(values.len())
        && types.as_ref().is_none_or(|types| fits(types.len()))
        && oids.as_ref().is_none_or(|oids| fits(oids.len()));
    if !all_fit {
        return Err(Wal2jsonError("lists of columns differ in length".to_owned()));
    }
    let mut types = types.into_iter().flatten();
    let mut oids = oids.into_iter().flatten();
    names
        .into_iter()
        .zip(values)
        .map(|(name, raw)| value::column(name, types.next(), oids.next(), raw))
        .collect()
}
