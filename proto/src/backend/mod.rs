//! What a server says: `(tag, body)` to values that borrow from the body.
//!
//! One file per kind of message: [`auth`], [`copy`], [`response`], [`row`], [`status`]. Everything
//! is borrowed except [`ServerMessage`], which outlives its buffer by nature.
//!
//! A tag that is not known is a value ([`BackendMessage::Unknown`]), not an error: the frame is
//! whole, and what to do with it depends on the state of the session.
//! Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

pub mod auth;
pub mod copy;
pub mod response;
pub mod row;
pub mod status;

pub use auth::{AuthenticationRequest, SaslMechanisms};
pub use copy::{ColumnFormats, CommandTag, CopyResponse};
pub use response::{ServerMessage, Severity};
pub use row::{DataRow, FieldDescription, RowDescription};
pub use status::{
    BackendKeyData, NegotiateProtocolVersion, Notification, ParameterDescription, ParameterStatus,
};

use crate::error::DecodeError;
use crate::read::Reader;
use crate::types::TransactionStatus;

/// First bytes of the messages a server sends.
pub mod tag {
    /// NotificationResponse.
    pub const NOTIFICATION_RESPONSE: u8 = b'A';
    /// CommandComplete.
    pub const COMMAND_COMPLETE: u8 = b'C';
    /// DataRow.
    pub const DATA_ROW: u8 = b'D';
    /// ErrorResponse.
    pub const ERROR_RESPONSE: u8 = b'E';
    /// CopyInResponse.
    pub const COPY_IN_RESPONSE: u8 = b'G';
    /// CopyOutResponse.
    pub const COPY_OUT_RESPONSE: u8 = b'H';
    /// EmptyQueryResponse.
    pub const EMPTY_QUERY_RESPONSE: u8 = b'I';
    /// BackendKeyData.
    pub const BACKEND_KEY_DATA: u8 = b'K';
    /// NoticeResponse.
    pub const NOTICE_RESPONSE: u8 = b'N';
    /// All authentication messages.
    pub const AUTHENTICATION: u8 = b'R';
    /// ParameterStatus.
    pub const PARAMETER_STATUS: u8 = b'S';
    /// RowDescription.
    pub const ROW_DESCRIPTION: u8 = b'T';
    /// CopyBothResponse.
    pub const COPY_BOTH_RESPONSE: u8 = b'W';
    /// ReadyForQuery.
    pub const READY_FOR_QUERY: u8 = b'Z';
    /// CopyDone.
    pub const COPY_DONE: u8 = b'c';
    /// CopyData.
    pub const COPY_DATA: u8 = b'd';
    /// NoData.
    pub const NO_DATA: u8 = b'n';
    /// PortalSuspended.
    pub const PORTAL_SUSPENDED: u8 = b's';
    /// ParameterDescription.
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    /// NegotiateProtocolVersion.
    pub const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    /// ParseComplete.
    pub const PARSE_COMPLETE: u8 = b'1';
    /// BindComplete.
    pub const BIND_COMPLETE: u8 = b'2';
    /// CloseComplete.
    pub const CLOSE_COMPLETE: u8 = b'3';
}

/// One message from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendMessage<'a> {
    /// A step of authentication.
    Authentication(AuthenticationRequest<'a>),
    /// What a CancelRequest for this session must hold.
    BackendKeyData(BackendKeyData<'a>),
    /// Answer to Bind.
    BindComplete,
    /// Answer to Close.
    CloseComplete,
    /// A command has ended, with its tag (`COPY 12`).
    CommandComplete(CommandTag<'a>),
    /// COPY FROM STDIN is waiting for data.
    CopyInResponse(CopyResponse<'a>),
    /// COPY TO STDOUT is about to send data.
    CopyOutResponse(CopyResponse<'a>),
    /// Streaming replication has begun.
    CopyBothResponse(CopyResponse<'a>),
    /// A piece of a COPY data stream.
    CopyData(&'a [u8]),
    /// The COPY data stream has ended.
    CopyDone,
    /// One row of a result.
    DataRow(DataRow<'a>),
    /// Answer to an empty query string, instead of CommandComplete.
    EmptyQueryResponse,
    /// The command failed.
    ErrorResponse(Box<ServerMessage>),
    /// Something to tell, at any time.
    NoticeResponse(Box<ServerMessage>),
    /// The server does not speak the minor version, or some options, that were asked for.
    NegotiateProtocolVersion(NegotiateProtocolVersion<'a>),
    /// Answer to Describe: no rows will come.
    NoData,
    /// NOTIFY of another session.
    NotificationResponse(Notification<'a>),
    /// Answer to Describe: the types of a statement's parameters.
    ParameterDescription(ParameterDescription<'a>),
    /// The present value of a setting that is reported, at any time.
    ParameterStatus(ParameterStatus<'a>),
    /// Answer to Parse.
    ParseComplete,
    /// The row limit of Execute is reached.
    PortalSuspended,
    /// The server waits for a command.
    ReadyForQuery(TransactionStatus),
    /// The columns of the rows that follow.
    RowDescription(RowDescription<'a>),
    /// A tag that this crate does not know.
    Unknown {
        /// The tag.
        tag: u8,
    },
}

impl<'a> BackendMessage<'a> {
    /// Decodes one message body.
    ///
    /// # Errors
    /// A [`DecodeError`] naming the message and the offset when the body is truncated, has bytes
    /// left over, or holds a value that the protocol does not define.
    pub fn decode(message_tag: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(match message_tag {
            tag::AUTHENTICATION => Self::Authentication(AuthenticationRequest::decode(body)?),
            tag::BACKEND_KEY_DATA => Self::BackendKeyData(BackendKeyData::decode(body)?),
            tag::BIND_COMPLETE => empty("BindComplete", body, Self::BindComplete)?,
            tag::CLOSE_COMPLETE => empty("CloseComplete", body, Self::CloseComplete)?,
            tag::COMMAND_COMPLETE => Self::CommandComplete(CommandTag::decode(body)?),
            tag::COPY_IN_RESPONSE => {
                Self::CopyInResponse(CopyResponse::decode("CopyInResponse", body)?)
            }
            tag::COPY_OUT_RESPONSE => {
                Self::CopyOutResponse(CopyResponse::decode("CopyOutResponse", body)?)
            }
            tag::COPY_BOTH_RESPONSE => {
                Self::CopyBothResponse(CopyResponse::decode("CopyBothResponse", body)?)
            }
            tag::COPY_DATA => Self::CopyData(body),
            tag::COPY_DONE => empty("CopyDone", body, Self::CopyDone)?,
            tag::DATA_ROW => Self::DataRow(DataRow::decode(body)?),
            tag::EMPTY_QUERY_RESPONSE => {
                empty("EmptyQueryResponse", body, Self::EmptyQueryResponse)?
            }
            tag::ERROR_RESPONSE => {
                Self::ErrorResponse(Box::new(ServerMessage::decode("ErrorResponse", body)?))
            }
            tag::NOTICE_RESPONSE => {
                Self::NoticeResponse(Box::new(ServerMessage::decode("NoticeResponse", body)?))
            }
            tag::NEGOTIATE_PROTOCOL_VERSION => {
                Self::NegotiateProtocolVersion(NegotiateProtocolVersion::decode(body)?)
            }
            tag::NO_DATA => empty("NoData", body, Self::NoData)?,
            tag::NOTIFICATION_RESPONSE => Self::NotificationResponse(Notification::decode(body)?),
            tag::PARAMETER_DESCRIPTION => {
                Self::ParameterDescription(ParameterDescription::decode(body)?)
            }
            tag::PARAMETER_STATUS => Self::ParameterStatus(ParameterStatus::decode(body)?),
            tag::PARSE_COMPLETE => empty("ParseComplete", body, Self::ParseComplete)?,
            tag::PORTAL_SUSPENDED => empty("PortalSuspended", body, Self::PortalSuspended)?,
            tag::READY_FOR_QUERY => Self::ReadyForQuery(status::ready_for_query(body)?),
            tag::ROW_DESCRIPTION => Self::RowDescription(RowDescription::decode(body)?),
            unknown => Self::Unknown { tag: unknown },
        })
    }
}

/// Decodes one message body, see [`BackendMessage::decode`].
///
/// # Errors
/// As [`BackendMessage::decode`].
pub fn decode(message_tag: u8, body: &[u8]) -> Result<BackendMessage<'_>, DecodeError> {
    BackendMessage::decode(message_tag, body)
}

/// The name of a backend message in PostgreSQL's words; `None` when the tag is not known.
#[must_use]
pub const fn name(message_tag: u8) -> Option<&'static str> {
    Some(match message_tag {
        tag::NOTIFICATION_RESPONSE => "NotificationResponse",
        tag::COMMAND_COMPLETE => "CommandComplete",
        tag::DATA_ROW => "DataRow",
        tag::ERROR_RESPONSE => "ErrorResponse",
        tag::COPY_IN_RESPONSE => "CopyInResponse",
        tag::COPY_OUT_RESPONSE => "CopyOutResponse",
        tag::EMPTY_QUERY_RESPONSE => "EmptyQueryResponse",
        tag::BACKEND_KEY_DATA => "BackendKeyData",
        tag::NOTICE_RESPONSE => "NoticeResponse",
        tag::AUTHENTICATION => "AuthenticationRequest",
        tag::PARAMETER_STATUS => "ParameterStatus",
        tag::ROW_DESCRIPTION => "RowDescription",
        tag::COPY_BOTH_RESPONSE => "CopyBothResponse",
        tag::READY_FOR_QUERY => "ReadyForQuery",
        tag::COPY_DONE => "CopyDone",
        tag::COPY_DATA => "CopyData",
        tag::NO_DATA => "NoData",
        tag::PORTAL_SUSPENDED => "PortalSuspended",
        tag::PARAMETER_DESCRIPTION => "ParameterDescription",
        tag::NEGOTIATE_PROTOCOL_VERSION => "NegotiateProtocolVersion",
        tag::PARSE_COMPLETE => "ParseComplete",
        tag::BIND_COMPLETE => "BindComplete",
        tag::CLOSE_COMPLETE => "CloseComplete",
        _ => return None,
    })
}

/// `message` when the body is empty, as it must be.
fn empty<'a>(
    what: &'static str,
    body: &'a [u8],
    message: BackendMessage<'a>,
) -> Result<BackendMessage<'a>, DecodeError> {
    Reader::named(what, body).finish().map(|()| message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DecodeErrorKind;

    const BODILESS: [(u8, BackendMessage<'static>); 8] = [
        (b'1', BackendMessage::ParseComplete),
        (b'2', BackendMessage::BindComplete),
        (b'3', BackendMessage::CloseComplete),
        (b'I', BackendMessage::EmptyQueryResponse),
        (b'c', BackendMessage::CopyDone),
        (b'n', BackendMessage::NoData),
        (b's', BackendMessage::PortalSuspended),
        (b'd', BackendMessage::CopyData(b"")),
    ];

    #[test]
    fn messages_without_body_are_known_by_their_tag() {
        for (message_tag, message) in BODILESS {
            assert_eq!(decode(message_tag, b""), Ok(message));
        }
    }

    #[test]
    fn messages_without_body_refuse_one() {
        for (message_tag, _) in BODILESS.into_iter().filter(|(t, _)| *t != b'd') {
            let error = decode(message_tag, b"x").unwrap_err();
            assert_eq!(error.kind, DecodeErrorKind::TrailingBytes { count: 1 });
        }
    }

    #[test]
    fn every_tag_that_has_a_name_is_decoded_and_no_other() {
        for message_tag in 0..=u8::MAX {
            let unknown =
                decode(message_tag, b"") == Ok(BackendMessage::Unknown { tag: message_tag });
            assert_eq!(name(message_tag).is_none(), unknown, "{message_tag}");
        }
    }
}
