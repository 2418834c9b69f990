//! The message types of protocol 3, one enum for each direction, so that `D` is never both Describe and DataRow.
//!
//! Manual: Frontend/Backend Protocol, "Message Formats".

macro_rules! tags {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $byte:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The message type that `byte` stands for in this direction.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($byte => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The byte that stands for this message type.
            #[must_use]
            pub const fn byte(self) -> u8 {
                match self {
                    $(Self::$variant => $byte,)*
                }
            }
        }
    };
}

tags! {
    /// Messages of a client.
    FrontendTag {
        /// Bind a statement to a portal.
        Bind = b'B',
        /// Close a statement or portal.
        Close = b'C',
        /// A piece of COPY data.
        CopyData = b'd',
        /// COPY data ends.
        CopyDone = b'c',
        /// COPY is given up by the client.
        CopyFail = b'f',
        /// Describe a statement or portal.
        Describe = b'D',
        /// Run a portal.
        Execute = b'E',
        /// Send what is pending.
        Flush = b'H',
        /// Call a function by its number.
        FunctionCall = b'F',
        /// Prepare a statement.
        Parse = b'P',
        /// A password, or a SASL or GSS response.
        Password = b'p',
        /// A simple query.
        Query = b'Q',
        /// The end of an extended-query segment.
        Sync = b'S',
        /// Good-bye.
        Terminate = b'X',
    }
}

tags! {
    /// Messages of a server.
    BackendTag {
        /// A request for, or the outcome of, authentication.
        Authentication = b'R',
        /// The key for cancel requests.
        BackendKeyData = b'K',
        /// Bind is done.
        BindComplete = b'2',
        /// Close is done.
        CloseComplete = b'3',
        /// A command is done; carries its tag.
        CommandComplete = b'C',
        /// COPY data in both directions (replication).
        CopyBothResponse = b'W',
        /// A piece of COPY data.
        CopyData = b'd',
        /// COPY data ends.
        CopyDone = b'c',
        /// The server wants COPY data.
        CopyInResponse = b'G',
        /// The server will send COPY data.
        CopyOutResponse = b'H',
        /// A row.
        DataRow = b'D',
        /// The query was empty.
        EmptyQueryResponse = b'I',
        /// An error.
        ErrorResponse = b'E',
        /// The result of a function call.
        FunctionCallResponse = b'V',
        /// An older protocol version is spoken.
        NegotiateProtocolVersion = b'v',
        /// A statement returns no rows.
        NoData = b'n',
        /// A warning or notice.
        NoticeResponse = b'N',
        /// A notification of LISTEN.
        NotificationResponse = b'A',
        /// The parameters of a statement.
        ParameterDescription = b't',
        /// The value of a reported setting.
        ParameterStatus = b'S',
        /// Parse is done.
        ParseComplete = b'1',
        /// Execute stopped at its row limit.
        PortalSuspended = b's',
        /// The server waits for the next request.
        ReadyForQuery = b'Z',
        /// The columns of what follows.
        RowDescription = b'T',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_reads_back() {
        let (mut front, mut back) = (0, 0);
        for byte in 0..=u8::MAX {
            if let Some(tag) = FrontendTag::from_byte(byte) {
                assert_eq!(tag.byte(), byte);
                front += 1;
            }
            if let Some(tag) = BackendTag::from_byte(byte) {
                assert_eq!(tag.byte(), byte);
                back += 1;
            }
        }
        assert_eq!((front, back), (14, 24));
    }
}
