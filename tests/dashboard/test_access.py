"""Which names a dashboard answers to, and what others may do."""

from __future__ import annotations

import socket

import pytest

from fxai.dashboard.access import access_for
from fxai.dashboard.token import Token
from fxai.errors import InputError

TOKEN = Token("correct-horse-battery", "test")


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """This machine is called box.lab.example."""
    monkeypatch.setattr(socket, "gethostname", lambda: "box.lab.example")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "[::]", "2001:db8::5"])
def test_others_need_a_token_and_only_read(host):
    with pytest.raises(InputError, match="would need no token") as caught:
        access_for(host, 8052)
    assert "--token-file ~/.fxai-dashboard-token" in caught.value.hint
    assert "(umask 077; python3 -c" in caught.value.hint
    assert "ssh -L 8052:localhost:8052 box.lab.example" in caught.value.hint
    access = access_for(host, 8052, token=TOKEN)
    assert (access.others, access.writes) == (True, False)
    assert access_for(host, 8052, token=TOKEN, allow_writes=True).writes


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "::1", "[::1]"])
def test_this_machine_needs_none_and_writes(host):
    access = access_for(host, 8052)
    assert (access.others, access.writes, access.token) == (False, True, None)
    assert access_for(host, 8052, token=TOKEN).writes
    assert not access_for(host, 8052, read_only=True).writes


def test_a_name_of_a_proxy_lets_others_in_and_a_tunnels_port_does_not():
    with pytest.raises(InputError, match=r"a dashboard at dash\.example\.com:443, and would need no token"):
        access_for("127.0.0.1", 8052, allow_hosts=["dash.example.com:443"])
    tunnel = access_for("127.0.0.1", 8052, allow_hosts=["localhost:9000"])
    assert (tunnel.others, tunnel.writes) == (False, True)
    assert set(tunnel.schemes("localhost:9000", "127.0.0.1")) == {"http", "https"}


@pytest.mark.parametrize(
    ("host", "schemes"),
    [
        ("192.168.1.5:8052", {"http"}),  # where the request came to
        ("localhost:8052", {"http"}),
        ("box.lab.example:8052", {"http"}),
        ("BOX:8052", {"http"}),
        ("box.lab.example.:8052", {"http"}),
        ("box.local:8052", {"http"}),
        ("dash.example.com", {"https"}),  # browsers leave 443 out
        ("dash.example.com:443", {"https"}),
        ("lab.example:8052", {"http", "https"}),
        ("192.168.1.6:8052", set()),  # another machine's address
        ("192.168.1.5:80", set()),
        ("192.168.1.5", set()),
        ("evil.example:8052", set()),
        ("dash.example.com:8052", set()),
        ("box.evil.example:8052", set()),
        ("localhost.evil.example:8052", set()),
        ("0.0.0.0:8052", set()),
        ("localhost:8052,evil.example:8052", set()),
        ("evil@localhost:8052", set()),
        ("localhost:", set()),
        ("localhost:99999", set()),
        ("[::1:8052", set()),
        ("", set()),
    ],
)
def test_names_of_a_server_at_all_addresses(host, schemes):
    access = access_for("0.0.0.0", 8052, token=TOKEN, allow_hosts=["dash.example.com:443", "lab.example"])
    assert set(access.schemes(host, "192.168.1.5")) == schemes


@pytest.mark.parametrize("arrived_at", ["2001:db8::5", "2001:db8::5%eth0"])
def test_addresses_have_many_spellings(arrived_at):
    access = access_for("::", 8052, token=TOKEN)
    assert access.schemes("[2001:DB8:0:0::5]:8052", arrived_at) == ("http",)
    # a server at :: sees those of IPv4 as mapped ones
    assert access.schemes("192.168.1.5:8052", "::ffff:192.168.1.5") == ("http",)
    assert not access.schemes("[2001:db8::6]:8052", arrived_at)


def test_a_refusal_says_what_to_do():
    access = access_for("127.0.0.1", 8052)
    assert "ssh -L 8052:localhost:8052 HOST" in access.refusal("localhost:9000")
    assert "--allow-host localhost:9000" in access.refusal("localhost:9000")
    assert "--allow-host dash.example.com:80." in access.refusal("dash.example.com")
    assert "--allow-host [2001:db8::1]." in access.refusal("[2001:db8::1]:8052")
    # what cannot be a name is not repeated
    assert access.refusal("<script>") == access.refusal("") == "This request names no host."


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://box.lab.example:8052"),
        ("::", "http://box.lab.example:8052"),
        ("192.168.1.5", "http://192.168.1.5:8052"),
        ("2001:db8::5", "http://[2001:db8::5]:8052"),
        ("localhost", "http://localhost:8052"),
    ],
)
def test_the_url_to_open(host, url):
    assert access_for(host, 8052, token=TOKEN).url == url


def test_what_is_no_host_is_refused(monkeypatch):
    def unknown(*_args, **_more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(InputError, match="'no such host' is no address"):
        access_for("no such host", 8052)
    for name in ("http://dash.example.com", "dash.example.com:0", "a b", "*"):
        with pytest.raises(InputError, match="is no name of a host"):
            access_for("127.0.0.1", 8052, token=TOKEN, allow_hosts=[name])


def test_a_name_of_this_machine_is_looked_up(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.1.5", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)
    access = access_for("box", 8052, token=TOKEN)
    assert (access.address, access.others, access.url) == ("192.168.1.5", True, "http://box:8052")
    assert access.schemes("192.168.1.5:8052", "192.168.1.5")
