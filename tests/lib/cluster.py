"""The balancers nginx and haproxy, started from conf/cluster on other ports, and fake nodes. The
ports are those of the files, 3001 ... 3904, moved together to a base at which all are free."""

import os
import re
import signal
import socket
import subprocess
import threading

import spike

CONF = spike.ROOT / "conf" / "cluster"
PORTS = [1, 2, 3, 4, 5, 901, 902, 903, 904]
NUMBERS = [1, 2, 3, 4]
WEIGHTS = [1, 2, 3, 4]
# Debian's servers are in /usr/sbin, which is not in the PATH of ordinary users.
ENV = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")


def free_base(site):
    """A base port: base + each of PORTS is free, and below the kernel's ephemeral ports. Tests that
    run at the same time on this machine get other bases."""

    def all_free(base):
        for port in PORTS:
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(("127.0.0.1", base + port))
                except OSError:
                    return False
        return True

    def found():
        base = site.random.randrange(10, 31) * 1000
        return base if site.reserve(f"spike-ports-{base}") and all_free(base) else None

    return spike.wait("free ports", found)


def conf_at(base, name):
    """The text of a file of conf/cluster with its ports moved."""
    return re.sub(r"\b(127\.0\.0\.1:|port )3(\d{3})\b",
                  lambda m: f"{m[1]}{base + int(m[2])}", (CONF / name).read_text())


def end_with_parent():
    """As die_with_parent, but with SIGTERM: nginx then ends its workers too."""
    spike.LIBC.prctl(spike.PR_SET_PDEATHSIG, signal.SIGTERM)


class Balancer:
    """edits: pairs of a text that the file must contain and its replacement."""

    def __init__(self, site, base, name, command, edits=()):
        self.dir = site.dir / self.__class__.__name__
        self.dir.mkdir()
        self.address = ("127.0.0.1", base + 5)
        text = conf_at(base, name)
        for old, new in edits:
            assert old in text, old
            text = text.replace(old, new)
        (self.dir / name).write_text(text)
        self.log = self.dir / "output"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, cwd=self.dir, env=ENV, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, preexec_fn=end_with_parent)
        site.started.append(self)
        spike.wait(f"{name} to listen", self._listens)

    def _listens(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            spike.connect(self.address).close()
            return True
        except OSError:
            return False

    def fetch(self, method, path, **more):
        return spike.fetch(self.address, method, path, **more)

    def close(self):
        self.process.terminate()
        self.process.wait(spike.SOON_S * spike.PATIENCE)


class Nginx(Balancer):
    def __init__(self, site, base, edits=()):
        super().__init__(site, base, "nginx.conf",
                         ["nginx", "-p", ".", "-c", "nginx.conf", "-g", "daemon off;"], edits)


class Haproxy(Balancer):
    def __init__(self, site, base, edits=()):
        super().__init__(site, base, "haproxy.cfg", ["haproxy", "-db", "-f", "haproxy.cfg"], edits)


def four_nodes(site, redis, base, **options):
    """Four nodes, which keep their ports when they are started again."""
    nodes = [site.node(i, NUMBERS, redis, listen=f"127.0.0.1:{base + i}", healthy=False,
                       admin=f"127.0.0.1:{base + 900 + i}", workers=1, **options)
             for i in NUMBERS]
    for node in nodes:
        node.wait_healthy()
    return nodes


class Fake:
    """Listens at a node's address, counts requests, and sends the same answer to each. answer None:
    it closes the connection, as a node that was killed just then."""

    def __init__(self, site, port, answer):
        self.answer, self.requests, self.open = answer, 0, []
        self.listener = socket.create_server(("127.0.0.1", port))
        site.started.append(self)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            server = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self.open.append((sock, server))
            server.start()

    def _serve(self, sock):
        try:
            while sock.recv(65536):
                self.requests += 1
                if self.answer is None:
                    break
                sock.sendall(self.answer)
        except OSError:
            pass
        sock.close()

    def close(self):
        """From now on connections are refused, and open connections are closed on both sides: a
        balancer that has not seen the close yet would still send a request on one, and could not
        know whether it was read."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for sock, server in self.open:
            try:
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the balancer has closed it already
            server.join(spike.SOON_S * spike.PATIENCE)


def fake_answer(status, code):
    body = b'{"code":%d,"msg":"fake","data":null}' % code
    return b"HTTP/1.1 %d Fake\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
