"""The store, without the web."""

import tempfile
import unittest

from shorty.store import Links


class TestLinks(unittest.TestCase):
    """Links in a file."""

    def setUp(self) -> None:
        """A fresh file for each test."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.links = Links(f"{directory.name}/links.db")

    def test_a_link_is_found_by_its_code(self) -> None:
        """What was added comes back."""
        self.assertEqual(self.links.find(self.links.add("https://example.com/a")), "https://example.com/a")

    def test_the_same_address_keeps_its_code(self) -> None:
        """Adding twice makes one link."""
        self.assertEqual(self.links.add("https://example.com/a"), self.links.add("https://example.com/a"))

    def test_the_most_used_link_is_first(self) -> None:
        """The list is ordered by clicks."""
        self.links.add("https://example.com/quiet")
        loud = self.links.add("https://example.com/loud")
        self.links.click(loud)
        self.assertEqual(self.links.top()[0], (loud, "https://example.com/loud", 1))
