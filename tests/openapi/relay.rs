//! A relay to the admin address that comes from another loopback address with each connection: whoever shows wrong tokens too
//! often from one address is not looked at any more, which is tested elsewhere and would hide all else here.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Socket, Type};

/// A relay that ends with the process.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
}

impl Relay {
    pub(crate) fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        std::thread::spawn(move || {
            for (number, client) in (0_u32..).zip(listener.incoming().map_while(Result::ok)) {
                // From 127.1.0.1 on, each host with a last part of 1 to 250.
                let (network, host) = (number / 250, number % 250 + 1);
                let source = Ipv4Addr::from(0x7f01_0000 + network * 256 + host);
                if let Ok(server) = connect(source, upstream) {
                    join(client, server);
                }
            }
        });
        Self { address }
    }
}

fn connect(source: Ipv4Addr, upstream: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&upstream.into())?;
    Ok(socket.into())
}

/// Passes on what either side sends, each on a thread of its own.
fn join(client: TcpStream, server: TcpStream) {
    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { return };
    std::thread::spawn(move || pass(from, to));
    std::thread::spawn(move || pass(server, client));
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    // Whoever leaves ends both.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
