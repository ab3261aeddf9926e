//! The loop: one agent, one invocation, one `poll(2)`.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use spillway_model::wire::supervisor::{
    Exited, Hello, Invocation, Kind, MAX_OUTPUT, PROTOCOL, Started,
};

use crate::arguments::Settings;
use crate::connection::{Connection, Lost, Request};
use crate::folders::Folders;
use crate::processes::{ClearError, End, Reaped, clear, reap};
use crate::run::Run;
use crate::signals::Signals;
use crate::spawn::Spawner;

/// Why the supervisor ended. The container ends with it, and the agent makes another.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("preparing process 1")]
    Prepare(#[source] Errno),
    #[error("listening on {path}")]
    Listen { path: PathBuf, source: io::Error },
    #[error("accepting a connection")]
    Accept(#[source] io::Error),
    #[error("waiting for something to happen")]
    Poll(#[source] Errno),
    #[error("collecting ended processes")]
    Reap(#[source] Errno),
    #[error("this container cannot be used again")]
    Clear(#[from] ClearError),
}

/// Serves invocations until ordered to stop.
pub(crate) fn serve(settings: &Settings) -> Result<(), ServeError> {
    let process_1 = Pid::this() == Pid::from_raw(1);
    let spawner = Spawner::prepare().map_err(ServeError::Prepare)?;
    // A script of the same user could otherwise attach to us and give itself another script's environment.
    // Kernels always do it, emulators of a processor refuse.
    let _ = prctl::set_dumpable(false);
    if !process_1 {
        prctl::set_child_subreaper(true).map_err(ServeError::Prepare)?;
    }
    let mut server = Server {
        process_1,
        any_peer: settings.any_peer,
        signals: Signals::listen(process_1 && !settings.any_peer).map_err(ServeError::Prepare)?,
        spawner,
        folders: Folders::remember(&settings.scratch, process_1),
        scratch: vec![0; MAX_OUTPUT].into_boxed_slice(),
        connection: None,
        run: None,
        served: 0,
        listener: listen(&settings.socket).map_err(|source| ServeError::Listen {
            path: settings.socket.clone(),
            source,
        })?,
    };
    while !server.signals.stop() {
        server.turn()?;
    }
    // As process 1 our own end would do. Waiting until all are gone shows the agent a clean end.
    clear(&mut server.signals, process_1)?;
    Ok(())
}

/// Any user may connect: who may give orders is decided by the peer's PID namespace.
fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let mask = umask(Mode::empty());
    let listener = UnixListener::bind(path);
    umask(mask);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What a poll found, one flag a descriptor.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone, Copy)]
struct Ready {
    signal: bool,
    caller: bool,
    request: bool,
    room: bool,
    stdout: bool,
    stderr: bool,
}

#[derive(Debug)]
struct Server {
    process_1: bool,
    any_peer: bool,
    signals: Signals,
    spawner: Spawner,
    folders: Folders,
    scratch: Box<[u8]>,
    listener: UnixListener,
    connection: Option<Connection>,
    run: Option<Run>,
    served: u64,
}

impl Server {
    fn turn(&mut self) -> Result<(), ServeError> {
        let ready = match self.wait() {
            Err(Errno::EINTR) => return Ok(()),
            ready => ready.map_err(ServeError::Poll)?,
        };
        if ready.caller {
            self.accept()?;
        }
        if ready.request || ready.room {
            self.talk(ready);
        }
        for (stream, readable) in [(Kind::Stdout, ready.stdout), (Kind::Stderr, ready.stderr)] {
            if let Some(run) = self.run.as_mut().filter(|_| readable) {
                let pumped = run.pump(stream, self.connection.as_mut(), &mut self.scratch);
                self.keep_or_lose(pumped.map(|_| ()));
            }
        }
        if ready.signal {
            self.signals.take().map_err(ServeError::Poll)?;
            self.collect()?;
        }
        if let Some(run) = &mut self.run
            && run.next_deadline().is_some()
        {
            run.on_time(Instant::now())
                .map_err(|_| ClearError::Unkillable)?;
        }
        Ok(())
    }

    fn wait(&self) -> nix::Result<Ready> {
        // A place in the list that nothing happens in. Left in for what is not wanted now, it costs no allocation.
        let nothing = || PollFd::new(self.signals.as_fd(), PollFlags::empty());
        let has_room = self.connection.as_ref().is_none_or(Connection::has_room);
        let pipe = |stream| match self
            .run
            .as_ref()
            .filter(|_| has_room)
            .and_then(|run| run.pipe(stream))
        {
            Some(pipe) => PollFd::new(pipe, PollFlags::POLLIN),
            None => nothing(),
        };
        let mut list = [
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            // During a run nobody else is served; who connects waits for its end.
            if self.run.is_none() {
                PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)
            } else {
                nothing()
            },
            match &self.connection {
                Some(connection) if connection.is_behind() => {
                    PollFd::new(connection.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)
                }
                Some(connection) => PollFd::new(connection.as_fd(), PollFlags::POLLIN),
                None => nothing(),
            },
            pipe(Kind::Stdout),
            pipe(Kind::Stderr),
        ];
        poll(&mut list, self.timeout())?;
        let [signal, caller, connection, stdout, stderr] =
            list.map(|entry| entry.revents().unwrap_or(PollFlags::empty()));
        Ok(Ready {
            signal: !signal.is_empty(),
            caller: !caller.is_empty(),
            request: !(connection - PollFlags::POLLOUT).is_empty(),
            room: connection.contains(PollFlags::POLLOUT),
            stdout: !stdout.is_empty(),
            stderr: !stderr.is_empty(),
        })
    }

    fn timeout(&self) -> PollTimeout {
        let Some(deadline) = self.run.as_ref().and_then(Run::next_deadline) else {
            return PollTimeout::NONE;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        // Up to the next whole millisecond, or the last one would be spent in a loop; and a wait of more than
        // the kernel's 24 days is a shorter one, and then another.
        PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
    }

    fn accept(&mut self) -> Result<(), ServeError> {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::Interrupted
                        | io::ErrorKind::ConnectionAborted
                ) =>
            {
                return Ok(());
            }
            Err(error) => return Err(ServeError::Accept(error)),
        };
        if !self.any_peer && !is_outside(&stream) {
            complain("a process of this container tried to give orders");
            return Ok(());
        }
        let mut connection = Connection::new(stream).map_err(ServeError::Accept)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let greeted = connection.send_message(
            Kind::Hello,
            &Hello {
                protocol: PROTOCOL,
                version,
                served: self.served,
            },
        );
        // A newer connection replaces an older one, which is idle: the agent was restarted.
        self.connection = Some(connection);
        self.keep_or_lose(greeted);
        Ok(())
    }

    fn talk(&mut self, ready: Ready) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut talked = if ready.room {
            connection.flush()
        } else {
            Ok(())
        };
        if talked.is_ok() && ready.request {
            talked = connection.receive(&mut self.scratch);
        }
        while let (Ok(()), Some(connection)) = (&talked, &mut self.connection) {
            talked = match connection.next_request() {
                Ok(Some(request)) => self.obey(request),
                Ok(None) => return,
                Err(lost) => Err(lost),
            };
        }
        self.keep_or_lose(talked);
    }

    fn obey(&mut self, request: Request) -> Result<(), Lost> {
        match (request, &mut self.run) {
            (Request::Run(_), Some(run)) => Err(Lost::Protocol(format!(
                "an invocation while {} is running",
                run.id()
            ))),
            (Request::Run(invocation), None) => self.start(*invocation),
            (Request::Kill, Some(run)) => {
                run.kill();
                Ok(())
            }
            // It crossed the report of the end.
            (Request::Kill, None) => Ok(()),
        }
    }

    fn start(&mut self, invocation: Invocation) -> Result<(), Lost> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        let id = invocation.id.clone();
        match Run::start(&self.spawner, invocation) {
            Ok(run) => {
                self.run = Some(run);
                connection.send_message(Kind::Started, &Started { id })
            }
            Err(error) => {
                let error = Some(error.to_string());
                connection.send_message(
                    Kind::Exited,
                    &Exited {
                        id,
                        error,
                        ..Exited::default()
                    },
                )
            }
        }
    }

    /// Collects ended children, our script among them or not.
    fn collect(&mut self) -> Result<(), ServeError> {
        let mut script = None;
        loop {
            match reap().map_err(ServeError::Reap)? {
                Reaped::Ended(end)
                    if self
                        .run
                        .as_ref()
                        .is_some_and(|run| run.process() == end.process) =>
                {
                    script = Some(end);
                }
                Reaped::Ended(_) => (),
                left => {
                    return match script {
                        Some(end) => self.finish(&end, matches!(left, Reaped::Alive)),
                        None => Ok(()),
                    };
                }
            }
        }
    }

    /// The script has ended: nothing of it may stay, then the agent is told.
    fn finish(&mut self, end: &End, others: bool) -> Result<(), ServeError> {
        let Some(mut run) = self.run.take() else {
            return Ok(());
        };
        let ended = Instant::now();
        let left_behind = if others {
            clear(&mut self.signals, self.process_1)?
        } else {
            0
        };
        let drained = run.drain(self.connection.as_mut(), &mut self.scratch);
        self.keep_or_lose(drained);
        self.folders.clean();
        self.served += 1;
        if let Some(connection) = &mut self.connection {
            let reported =
                connection.send_message(Kind::Exited, &run.report(end, ended, left_behind));
            self.keep_or_lose(reported);
        }
        Ok(())
    }

    /// Closes a connection that is of no use any more, and kills the run whose result nobody would get.
    fn keep_or_lose(&mut self, talked: Result<(), Lost>) {
        let Err(lost) = talked else { return };
        if !matches!(lost, Lost::Closed) {
            complain(&lost.to_string());
        }
        self.connection = None;
        if let Some(run) = &mut self.run {
            run.kill();
        }
    }
}

/// Whether the peer is outside our PID namespace: the kernel then has no number for it and says 0.
fn is_outside(stream: &UnixStream) -> bool {
    getsockopt(stream, PeerCredentials).is_ok_and(|peer| peer.pid() == 0)
}

/// A line on standard error, for whoever runs the container by hand; engines are told to keep no log.
fn complain(what: &str) {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "spillway-supervisor: {what}");
}
