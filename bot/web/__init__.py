"""The pages and endpoints that people and GitHub reach over HTTP."""
