"""Bodies that are no form and no JSON."""

from __future__ import annotations

import email
from xml.etree import ElementTree as ET

from toughen.lab.documents import rendered
from toughen.lab.requests import Resolver, assemble
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Literal


def test_xml_has_an_element_for_each_key() -> None:
    """Lists repeat their element, attributes and the root's own tag are told apart, and what is special in XML is escaped."""
    tree = {"#tag": "staff", "person": [{"@id": "7", "name": '<Ann> & "Bob"'}, {"name": "Cy", "age": 3, "left": None}]}
    root = ET.fromstring(rendered("xml", tree))  # noqa: S314 - made just now
    assert root.tag == "staff"
    assert [each.findtext("name") for each in root.findall("person")] == ['<Ann> & "Bob"', "Cy"]
    assert root.findall("person")[0].get("id") == "7"
    assert root.findtext("person[2]/age") == "3"
    assert root.findtext("person[2]/left") == ""


def test_a_message_has_a_header_for_each_key() -> None:
    """What is no header of it stands behind the empty line; a message without a text of its own has one."""
    message = email.message_from_bytes(rendered("email", {"From": "a@example.com", "#payload": "Stop it"}))
    assert (message["From"], message.get_payload().strip()) == ("a@example.com", "Stop it")
    assert email.message_from_bytes(rendered("email", {"From": "a@example.com"})).get_payload().strip()


def test_a_document_is_sent_as_it_stands() -> None:
    """The values at form places make the body, with the content type of its kind."""
    call = Call("POST /import", (Argument(Place.FORM, ("person", 0, "name"), Literal("Ann")),), body="xml")
    sent = assemble(call, Resolver(lambda _: []), (), None)
    assert ("Content-Type", "application/xml; charset=utf-8") in sent["headers"]
    text = assemble(Call("POST /note", (Argument(Place.FORM, ("body",), Literal("a & b")),), body="text"), Resolver(lambda _: []), (), None)
    assert text["body_b64"] == "YSAmIGI="
