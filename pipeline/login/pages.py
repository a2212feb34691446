"""Pages of a login, read from their forms and links without network access."""

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag

_CONNECTOR = re.compile(r"/auth/([^/]+)(/login)?/?$")
_TEXT_INPUTS = {"text", "email"}


@dataclass(frozen=True)
class SignInPage:
    """oauth2-proxy's page before the login; `start` is the address of the next page."""

    start: str


@dataclass(frozen=True)
class ConnectorPage:
    """Dex's choice of connectors: addresses by connector ID."""

    connectors: dict[str, str]


@dataclass(frozen=True)
class Form:
    """An HTML form.

    Attributes:
        action: Absolute address that the form is posted to.
        fields: Values by field name, hidden fields included; empty for the fields that the user fills in.
    """

    action: str
    fields: dict[str, str]


@dataclass(frozen=True)
class PasswordPage:
    """A page that asks for a user name and a password.

    Attributes:
        form: The form of the page.
        username_field: Name of the field for the user name.
        password_field: Name of the field for the password.
        connector: Dex connector of the page; empty if the address does not contain one.
    """

    form: Form
    username_field: str
    password_field: str
    connector: str


@dataclass(frozen=True)
class ApprovalPage:
    """Dex's request to share the user's identity with the platform; posting `form` grants it."""

    form: Form


LoginPage = SignInPage | ConnectorPage | PasswordPage | ApprovalPage


def read_page(url: str, html: str) -> LoginPage | None:
    """Recognise a page of a login.

    Args:
        url: Address of the page.
        html: Source of the page.

    Returns:
        The page, or None if it does not belong to a login.
    """
    document = BeautifulSoup(html, "html.parser")
    forms = [(tag, _read_form(url, tag)) for tag in document.find_all("form")]
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


def _read_form(url: str, tag: Tag) -> Form:
    fields = {
        str(field["name"]): str(field.get("value", ""))
        for field in tag.find_all("input")
        if field.has_attr("name") and field.get("type") not in {"submit", "button", "checkbox", "radio"}
    }
    return Form(urljoin(url, str(tag.get("action", ""))), fields)


def _password_page(url: str, tag: Tag, form: Form) -> PasswordPage | None:
    password = tag.find("input", attrs={"type": "password", "name": True})
    texts = [
        field for field in tag.find_all("input", attrs={"name": True}) if field.get("type", "text") in _TEXT_INPUTS
    ]
    if password is None or not texts:
        return None
    match = _CONNECTOR.search(urlsplit(url).path)
    return PasswordPage(form, str(texts[0]["name"]), str(password["name"]), match[1] if match else "")
