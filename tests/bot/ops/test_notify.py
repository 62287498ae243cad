"""Notices reach a chat's webhook and a mailbox, over the wire, and a failing one says so without telling an address."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from bot.ops.notify import NobodyThere, NotifierMissing, NotTaken, addresses_of, send
from bot.ops.own_secrets import OWN
from tests.fakes.chat import Chat, open_chat


@pytest.fixture
def chat() -> Iterator[Chat]:
    with open_chat() as chat:
        yield chat


class Mailbox:
    """What a mail server has taken."""

    def __init__(self) -> None:
        self.taken: list[tuple[list[str], Message]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - the library's name.
        self.taken.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"


@pytest.fixture
async def mail() -> AsyncIterator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(mailbox), "127.0.0.1", 0)
    yield mailbox, server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


def lay_down(directory: Path, name: str, text: str, *, mode: int = 0o600) -> Path:
    path = directory / "notify" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


async def test_a_chat_gets_one_text_in_which_nobody_is_called(chat: Chat) -> None:
    await send(f"{chat.url}/services/T0/B0/key?wait=1", title="<!channel> 1 & 2", body="<@U1> line\nanother")
    assert chat.heard == [
        ("/services/T0/B0/key?wait=1", "&lt;!channel&gt; 1 &amp; 2\n&lt;@U1&gt; line\nanother"),
    ]


async def test_a_mailbox_gets_plain_text_with_a_subject(mail: tuple[Mailbox, int]) -> None:
    mailbox, port = mail
    address = f"mailto://127.0.0.1:{port}?from=interlock@example.test&to=ops@example.test"
    await send(address, title="↩️ octo/app → production: rolled back", body="<b>19</b> of 1090\nanswers failed")
    [(to, message)] = mailbox.taken
    assert to == ["ops@example.test"]
    assert str(make_header(decode_header(str(message["Subject"])))) == "↩️ octo/app → production: rolled back"
    texts = [part for part in message.walk() if not part.is_multipart()]
    assert [part.get_content_type() for part in texts] == ["text/plain"]
    body = texts[0].get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().splitlines() == ["<b>19</b> of 1090", "answers failed"]


@pytest.mark.parametrize("status", [302, 403, 500])
async def test_a_refusal_is_told_and_can_be_repeated(chat: Chat, status: int) -> None:
    chat.status = status
    with pytest.raises(NotTaken):
        await send(f"{chat.url}/services/x", title="t", body="b")
    chat.status = 200
    await send(f"{chat.url}/services/x", title="t", body="b")
    assert len(chat.heard) == 1


async def test_who_cannot_be_reached_is_told_without_the_address(tmp_path: Path, chat: Chat) -> None:
    chat.server_close()
    lay_down(tmp_path, "ops", f"{chat.url}/services/hidden-key-of-the-channel\n")
    [address] = addresses_of(tmp_path, "ops")
    with pytest.raises(NotTaken) as failed:
        await send(address, title="t", body="b")
    assert "hidden-key" not in str(failed.value)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("http://chat.example/services/x", id="unencrypted"),
        pytest.param("https://chat.example:port/services/x", id="no port"),
        pytest.param("pigeon://loft", id="nothing that is known"),
    ],
)
async def test_an_address_that_cannot_be_used_is_refused_and_not_told(address: str) -> None:
    with pytest.raises(NobodyThere, match="notify: an address") as refused:
        await send(address, title="t", body="b")
    assert "services" not in str(refused.value)
    assert "loft" not in str(refused.value)


async def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(NotifierMissing, match=r"pip install 'interlock\[notify\]'"):
        await send("https://chat.example/x", title="t", body="b")


def test_a_name_stands_for_its_addresses_and_they_are_kept_back(tmp_path: Path) -> None:
    lay_down(
        tmp_path, "ops", "# the channel\nhttps://chat.example/services/T1/B1/verysecretkey\n\n  mailto://a@b.test \n"
    )
    assert addresses_of(tmp_path, "ops") == ("https://chat.example/services/T1/B1/verysecretkey", "mailto://a@b.test")
    assert OWN.text("see https://chat.example/services/T1/B1/verysecretkey") == "see [secret notify-ops-1]"


@pytest.mark.parametrize(
    ("name", "text", "mode", "said"),
    [
        pytest.param("other", "x", 0o600, "there is no file notify/other", id="no such name"),
        pytest.param("../app", "x", 0o600, "stands for nobody", id="a path"),
        pytest.param("ops", "x", 0o644, "can be read by others: chmod 600", id="open to others"),
        pytest.param("ops", "# nobody\n", 0o600, "has 0 addresses", id="empty"),
        pytest.param("ops", "x\n" * 11, 0o600, "has 11 addresses", id="too many"),
    ],
)
def test_a_name_that_stands_for_nobody_says_what_to_mend(
    tmp_path: Path, name: str, text: str, mode: int, said: str
) -> None:
    lay_down(tmp_path, "ops", text, mode=mode)
    with pytest.raises(NobodyThere, match=said):
        addresses_of(tmp_path, name)


def test_without_a_secrets_directory_a_name_stands_for_nobody() -> None:
    with pytest.raises(NobodyThere, match="INTERLOCK_SECRETS_DIR is not set"):
        addresses_of(None, "ops")
