"""`python3 -m support.junit FILE`: run the unit tests and write their results as JUnit."""

import sys
import unittest
from xml.etree import ElementTree


class Recorder(unittest.TextTestResult):
    """Keeps what each test came to."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.suite = ElementTree.Element("testsuite", name="unit")

    def stopTest(self, test: unittest.TestCase) -> None:
        """One test is over."""
        super().stopTest(test)
        classname, _, name = test.id().rpartition(".")
        case = ElementTree.SubElement(self.suite, "testcase", classname=classname.rpartition(".")[2], name=name)
        for tag, found in (("failure", self.failures), ("error", self.errors)):
            for failed, traceback in found:
                if failed is test:
                    ElementTree.SubElement(case, tag, message=traceback.splitlines()[-1]).text = traceback


if __name__ == "__main__":
    tests = unittest.defaultTestLoader.discover("tests", top_level_dir=".")
    result = unittest.TextTestRunner(resultclass=Recorder).run(tests)
    ElementTree.ElementTree(result.suite).write(sys.argv[1], encoding="utf-8", xml_declaration=True)
    sys.exit(not result.wasSuccessful())
