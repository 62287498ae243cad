"""Strangers at the pages: what they can read, and what they can break."""

from __future__ import annotations

import httpx
import pytest

from tests.fakes.world import World, box

STRANGER = ("203.0.113.7", 443)
HERE = ("127.0.0.1", 1)
CANARY = "canary-of-a-private-repository"


async def ask(world: World, path: str, *, client: tuple[str, int] = STRANGER, **headers: str) -> httpx.Response:
    """A request that must never end in a traceback."""
    transport = httpx.ASGITransport(world.running.app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        return await http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def one_run(world: World) -> str:
    """A red run whose log has a canary; gives the token of its link."""
    world.repository({"boxes/tier-1/1_red.sh": box(f"echo {CANARY}; exit 1")})
    await world.settle()
    return world.running.ctx.links.token(1)


async def test_a_link_opens_its_own_run_and_no_other(world: World) -> None:
    token = await one_run(world)
    world.hub.commit("octo/app", "main", {"x": "y"}, "Again", "mona")
    await world.settle()
    assert CANARY in (await ask(world, f"/runs/1?t={token}")).text
    assert CANARY in (await ask(world, f"/runs/1/logs/1.1.log?t={token}")).text
    for path in ("/runs/2", "/api/v1/runs/2", "/runs/2/logs/1.1.log"):
        assert (await ask(world, f"{path}?t={token}")).status_code == 403
    for guess in ("", token[:-1], token.upper(), token + "0", "%ff%fe", "%00", "é", "a" * 10_000):
        answer = await ask(world, f"/runs/1?t={guess}")
        assert (answer.status_code, CANARY in answer.text) == (403, False), guess


@pytest.mark.parametrize("path", ["/", "/api/v1/runs", "/runs/1", "/api/v1/runs/1", "/runs/1/logs/1.1.log"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "evil.example"}, id="a-name-that-resolves-here"),
        pytest.param({"Host": "127.0.0.1.evil.example"}, id="a-prefix"),
        pytest.param({"Host": "127.0.0.1:80@evil.example"}, id="userinfo"),
        pytest.param({"Host": "a]["}, id="no-host-at-all"),
        pytest.param({"X_Forwarded_For": "127.0.0.1"}, id="forwarded-for-us"),
        pytest.param({"X_Forwarded_Proto": "https"}, id="forwarded-proto"),
        pytest.param({"Forwarded": "for=127.0.0.1"}, id="forwarded"),
        pytest.param({"Via": "1.1 proxy"}, id="via"),
    ],
)
async def test_whoever_comes_through_a_proxy_is_a_stranger(world: World, path: str, headers: dict[str, str]) -> None:
    await one_run(world)
    assert (await ask(world, path, client=HERE)).status_code == 200
    answer = await ask(world, path, client=HERE, **headers)
    assert (answer.status_code, CANARY in answer.text) == (403, False)


@pytest.mark.parametrize("client", [STRANGER, HERE], ids=["stranger", "here"])
async def test_no_address_ends_in_a_traceback(world: World, client: tuple[str, int]) -> None:
    await one_run(world)
    numbers = ("0", "-1", "99999999999999999999", "9" * 5000, "\uff11", "1e3", "%00", "..%2f1")
    names = ("..%2f..%2fchild.log", "%2e%2e", "1.1.log%00", "1.1.log%0a", "a" * 300, "..%5c..%5clinks.key")
    paths = [f"{place}/{number}" for place in ("/runs", "/api/v1/runs") for number in numbers]
    for path in [*paths, *(f"/runs/1/logs/{name}" for name in names)]:
        assert (await ask(world, path, client=client)).status_code in {403, 404}, path


async def test_what_a_box_prints_is_never_markup(world: World) -> None:
    evil = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>"
    title = "<svg onload=alert(1)>"
    world.repository({"boxes/tier-1/1_red.sh": box(f"echo '{evil}'; exit 1", title=title)})
    await world.settle()
    page = await ask(world, "/runs/1", client=HERE)
    assert "alert(1)" in page.text
    for raw in ("<script>alert", "<img", "<svg onload"):
        assert raw not in page.text
    assert "script-src 'nonce-" in page.headers["Content-Security-Policy"]
    log = await ask(world, "/runs/1/logs/1.1.log", client=HERE)
    assert (log.headers["Content-Type"], log.headers["X-Content-Type-Options"]) == (
        "text/plain; charset=utf-8",
        "nosniff",
    )


@pytest.mark.parametrize(
    "swap",
    [
        pytest.param(
            "mkdir -p ../logs; ln -s ../../../links.key ../logs/1.1.log; echo first", id="before-it-is-opened"
        ),
        pytest.param("echo first; sleep 0.5; ln -sf ../../../links.key ../logs/1.1.log", id="afterwards"),
    ],
)
async def test_a_log_that_a_box_made_a_link_is_neither_written_through_nor_served(world: World, swap: str) -> None:
    key = (world.data_dir / "links.key").read_text()
    world.repository({"boxes/tier-1/1_red.sh": box(f"{swap}; exit 1")})
    await world.settle()
    assert (world.data_dir / "links.key").read_text() == key
    answer = await ask(world, "/runs/1/logs/1.1.log", client=HERE)
    assert (answer.status_code, key in answer.text) == (404, False)
