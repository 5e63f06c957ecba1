//! Format version 2: one object per message.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::value::{self, Text};
use super::{Change, ChangeKind, Column, Message, Wal2jsonError};

/// Any message; which keys are there depends on `action`.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    action: Text<'a>,
    xid: Option<u32>,
    #[serde(borrow)]
    lsn: Option<Text<'a>>,
    #[serde(borrow)]
    nextlsn: Option<Text<'a>>,
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    schema: Option<Text<'a>>,
    #[serde(borrow)]
    table: Option<Text<'a>>,
    #[serde(borrow)]
    columns: Option<Vec<ColumnObject<'a>>>,
    #[serde(borrow)]
    identity: Option<Vec<ColumnObject<'a>>>,
}

/// A column.
#[derive(Deserialize)]
struct ColumnObject<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, rename = "type")]
    type_name: Option<Text<'a>>,
    typeoid: Option<u32>,
    #[serde(borrow)]
    value: &'a RawValue,
}

/// Decodes one object.
pub(super) fn decode(text: &str) -> Result<Message<'_>, Wal2jsonError> {
    let object: Object<'_> = serde_json::from_str(text)?;
    let kind = match object.action.0.as_ref() {
        "B" | "C" => {
            let boundary = value::boundary(
                object.xid,
                object.lsn.as_ref(),
                object.nextlsn.as_ref(),
                object.timestamp.as_ref(),
            )?;
            let is_begin = object.action.0 == "B";
            return Ok(if is_begin { Message::Begin(boundary) } else { Message::Commit(boundary) });
        }
        "M" => return Ok(Message::Message),
        "I" => ChangeKind::Insert,
        "U" => ChangeKind::Update,
        "D" => ChangeKind::Delete,
        "T" => ChangeKind::Truncate,
        other => {
            let found = other.escape_debug();
            return Err(Wal2jsonError(format!("expected an action, found \"{found}\"")));
        }
    };
    let Some(table) = object.table else {
        return Err(Wal2jsonError("a change names no table".to_owned()));
    };
    Ok(Message::Change(Change {
        kind,
        schema: object.schema.map_or(Cow::Borrowed(""), |text| text.0),
        table: table.0,
        columns: columns(object.columns.unwrap_or_default())?,
        identity: object.identity.map(columns).transpose()?,
    }))
}

/// The columns of a list.
fn columns(list: Vec<ColumnObject<'_>>) -> Result<Vec<Column<'_>>, Wal2jsonError> {
    list.into_iter()
        .map(|column| value::column(column.name, column.type_name, column.typeoid, column.value))
        .collect()
}
