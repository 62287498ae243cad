"""What routers are told, as they are told it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.deploy.routers import caddy, haproxy
from bot.deploy.routers.choosing import Program, find
from bot.deploy.routers.router import NOBODY, Front, share_of, weights_of

FRONT = Front(listen=("127.0.0.1", 8000), ports={"blue": 9101, "green": 9102})


def test_haproxy_decides_by_one_number_for_each_request() -> None:
    users = haproxy.config(FRONT, user="web").partition("frontend users\n")[2]
    assert users == snapshot("""\
    bind 127.0.0.1:8000
    http-request disable-l7-retry unless METH_GET
    http-request set-var(txn.share) str(green),map_str_int(share.map,-1)
    http-request return status 503 content-type text/plain string "no release serves here" hdr Retry-After 5 if { var(txn.share) -m int lt 0 }
    http-request set-var(txn.lot) rand(100),sub(txn.share)
    use_backend green if { var(txn.lot) -m int lt 0 }
    default_backend blue
backend blue
    server blue 127.0.0.1:9101
backend green
    server green 127.0.0.1:9102
""")  # noqa: E501 - as HAProxy wants it.


@pytest.mark.parametrize("listen", [("127.0.0.1", 8000), ("0.0.0.0", 80), ("::1", 8000)])
def test_haproxy_understands_what_it_is_told(tmp_path: Path, listen: tuple[str, int]) -> None:
    program = find("haproxy", "/usr/sbin")
    if not isinstance(program, Program):
        pytest.skip("missing component: haproxy")
    front = Front(listen=listen, ports=FRONT.ports)
    (tmp_path / "haproxy.cfg").write_text(haproxy.config(front))
    (tmp_path / "share.map").write_text("green 0\n")
    said = subprocess.run([program.path, "-c", "-f", "haproxy.cfg"], cwd=tmp_path, capture_output=True, check=False)
    assert said.returncode == 0, said.stderr
    assert b"ALERT" not in said.stderr
    assert b"WARNING" not in said.stderr


def test_caddy_compares_a_random_number_of_the_request_with_the_share() -> None:
    routes = caddy.config(FRONT)["apps"]["http"]["servers"]["users"]["routes"]
    assert [route.get("match", [{}])[0].get("expression") for route in routes] == snapshot(
        [None, '{http.vars.share} == ""', "{http.request.uuid} < {http.vars.share}", None]
    )


@given(share=st.integers(min_value=NOBODY, max_value=100))
def test_what_caddy_is_told_is_what_it_says(share: int) -> None:
    assert caddy.share_from(caddy.written(share)) == share


@given(share=st.integers(min_value=0, max_value=100), digits=st.integers(min_value=0, max_value=2**128 - 1))
def test_caddy_gives_green_the_share_of_all_numbers_that_lie_below(share: int, digits: int) -> None:
    number = f"{digits:032x}"
    uuid = f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:]}"
    below = digits // 2**112 < share * 65536 // 100
    assert (uuid < caddy.written(share)) == below


@given(share=st.integers(min_value=0, max_value=100))
def test_weights_and_shares_say_the_same(share: int) -> None:
    assert share_of(weights_of(share)) == share


@pytest.mark.parametrize("weights", [{}, {"blue": 0}, {"blue": 0, "green": 0}])
def test_no_weights_are_nobody(weights: dict[str, int]) -> None:
    assert share_of(weights) == NOBODY
    assert weights_of(NOBODY) == weights_of(None) == {}


@pytest.mark.parametrize(
    "weights", [{"blue": 99}, {"blue": 60, "green": 60}, {"red": 100}, {"blue": 110, "green": -10}]
)
def test_what_is_no_division_of_the_traffic_is_refused(weights: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be 100 together"):
        share_of(weights)
