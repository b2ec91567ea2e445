//! The serial link: a device, a pseudo-terminal, or raw TCP (`tcp://host:port`), all 256 byte values transparent.
//!
//! A device is opened once and kept open (Linux raises DTR and RTS at every opening, which resets some boards), taken
//! exclusively, 8N1, raw. Nothing here flushes: in async code that would block the whole runtime for the line's time.

use std::{fmt, io, path::PathBuf, str::FromStr};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
};
use tokio_serial::{SerialPort as _, SerialPortBuilderExt as _};

/// Where the module is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A serial device or any path to a terminal, also a symbolic link to a pseudo-terminal.
    Device(PathBuf),
    /// `host:port` of a raw TCP serial server.
    Tcp(String),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("tcp://") {
            Some(rest)
                if rest
                    .rsplit_once(':')
                    .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) =>
            {
                Ok(Self::Tcp(rest.to_owned()))
            }
            Some(rest) => Err(format!("`tcp://{rest}` is not `tcp://host:port`")),
            None if text.contains("://") => {
                Err(format!("`{text}`: only `tcp://host:port` is known besides device paths"))
            }
            None if text.is_empty() => {
                Err("the port is empty; name a device such as /dev/ttyUSB0".to_owned())
            }
            None => Ok(Self::Device(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// The port cannot be taken; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {port}: {why}{remedy}")]
pub struct OpenError {
    port: String,
    why: String,
    remedy: String,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open serial link.
pub struct Link {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    /// Takes the port.
    pub async fn open(address: &Address, baud: u32) -> Result<Self, OpenError> {
        let stream: Box<dyn Stream> = match address {
            Address::Device(path) => {
                let mut port = tokio_serial::new(path.to_string_lossy(), baud)
                    .data_bits(tokio_serial::DataBits::Eight)
                    .parity(tokio_serial::Parity::None)
                    .stop_bits(tokio_serial::StopBits::One)
                    .flow_control(tokio_serial::FlowControl::None)
                    .open_native_async()
                    .map_err(|e| device_error(address, &e))?;
                #[cfg(unix)]
                port.set_exclusive(true).map_err(|e| device_error(address, &e))?;
                // What a former user left in the system's buffers belongs to no case.
                let _ = port.clear(tokio_serial::ClearBuffer::Input);
                Box::new(port)
            }
            Address::Tcp(target) => {
                let stream = TcpStream::connect(target).await.map_err(|e| OpenError {
                    port: address.to_string(),
                    why: e.to_string(),
                    remedy: "; is the serial server running there?".to_owned(),
                })?;
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
        };
        let (reader, writer) = tokio::io::split(stream);
        Ok(Self { reader, writer })
    }

    /// Reads what is there, at least a byte. The end of the stream is an error: a serial line has none.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buffer).await {
            // tokio-serial answers a hang-up with Ok(0) for ever.
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other end closed the line")),
            other => other,
        }
    }

    /// Both directions at once, so that a module that echoes cannot block the bench. What the line takes is written first: mostly
    /// that is all, and nothing has to be read in vain.
    pub async fn read_or_write(&mut self, buffer: &mut [u8], out: &[u8]) -> io::Result<Moved> {
        tokio::select! {
            biased;
            written = self.writer.write(out) => match written {
                Ok(0) => Err(io::Error::new(io::ErrorKind::WriteZero, "the line takes no bytes any more")),
                Ok(n) => Ok(Moved::Out(n)),
                Err(e) => Err(e),
            },
            read = self.reader.read(buffer) => match read {
                Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other end closed the line")),
                Ok(n) => Ok(Moved::In(n)),
                Err(e) => Err(e),
            },
        }
    }
}

/// What [`Link::read_or_write`] moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// So many bytes were read.
    In(usize),
    /// So many bytes were written.
    Out(usize),
}

fn device_error(address: &Address, error: &tokio_serial::Error) -> OpenError {
    let why = error.to_string();
    let remedy = match error.kind() {
        tokio_serial::ErrorKind::NoDevice => "; is it taken by another program?",
        tokio_serial::ErrorKind::Io(io::ErrorKind::NotFound) => "; does the path exist, is the cable in?",
        tokio_serial::ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
            "; add the user to the group of the device (often `dialout`)"
        }
        _ if why.contains("lock") || why.contains("busy") => "; another program has it open",
        _ if why.contains("typewriter") || why.contains("ioctl") => "; this path is not a terminal",
        _ => "",
    };
    OpenError { port: address.to_string(), why, remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!("tcp://h:23".parse(), Ok(Address::Tcp("h:23".to_owned())));
        assert_eq!("./air".parse(), Ok(Address::Device(PathBuf::from("./air"))));
        assert!("tcp://h".parse::<Address>().is_err());
        assert!("rfc2217://h:1".parse::<Address>().is_err());
        assert!("".parse::<Address>().is_err());
    }
}
