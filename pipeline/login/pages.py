"""What the pages of a login ask for: read from their forms and links, without any network."""

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag

_CONNECTOR = re.compile(r"/auth/([^/]+)(/login)?/?$")


@dataclass(frozen=True)
class SignInPage:
    """oauth2-proxy's page before the login; `start` leads there."""

    start: str


@dataclass(frozen=True)
class ConnectorPage:
    """Dex's choice of ways to log in: address by connector id."""

    connectors: dict[str, str]


@dataclass(frozen=True)
class Form:
    """What a form sends: fields by name, those that the user fills left empty.

    Attributes:
        action: Absolute address that it is posted to.
        fields: Hidden fields and their values among them.
    """

    action: str
    fields: dict[str, str]


@dataclass(frozen=True)
class PasswordPage:
    """A page that asks for user name and password.

    Attributes:
        form: Its form.
        username_field: Name of the field for the user name.
        password_field: Name of the field for the password.
        connector: Dex connector whose page it is; empty if the address does not say.
    """

    form: Form
    username_field: str
    password_field: str
    connector: str


@dataclass(frozen=True)
class ApprovalPage:
    """Dex's question whether the platform may know the user; `form` says yes."""

    form: Form


LoginPage = SignInPage | ConnectorPage | PasswordPage | ApprovalPage


def read_page(url: str, html: str) -> LoginPage | None:
    """Find out what a page asks for.

    Args:
        url: Its address.
        html: Its text.

    Returns:
        The page, or None if it is none of a login.
    """
    document = BeautifulSoup(html, "html.parser")
    forms = [(tag, _form(url, tag)) for tag in document.find_all("form")]
    for tag, form in forms:
        if urlsplit(form.action).path.endswith("/oauth2/start"):
            return SignInPage(form.action)
        if form.fields.get("approval") == "approve":
            return ApprovalPage(form)
        if page := _password_page(url, tag, form):
            return page
    links = [urljoin(url, str(tag["href"])) for tag in document.find_all("a", href=True)]
    connectors = {match[1]: link for link in links if (match := _CONNECTOR.search(urlsplit(link).path))}
    return ConnectorPage(connectors) if connectors else None


def _form(url: str, tag: Tag) -> Form:
    fields = {
        str(field["name"]): str(field.get("value", ""))
        for field in tag.find_all("input")
        if field.has_attr("name") and field.get("type") not in {"submit", "button", "checkbox", "radio"}
    }
    return Form(urljoin(url, str(tag.get("action", ""))), fields)


def _password_page(url: str, tag: Tag, form: Form) -> PasswordPage | None:
    password = tag.find("input", attrs={"type": "password", "name": True})
    texts = [field for field in tag.find_all("input", attrs={"name": True}) if field.get("type", "text") in _TEXTUAL]
    if password is None or not texts:
        return None
    match = _CONNECTOR.search(urlsplit(url).path)
    return PasswordPage(form, str(texts[0]["name"]), str(password["name"]), match[1] if match else "")


_TEXTUAL = {"text", "email"}
