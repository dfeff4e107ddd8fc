"""Python's imaplib by TLS: from the first octet on, and by STARTTLS."""

import imaplib
import pathlib
import ssl
import sys

port, tls_port, certificate, user, password, folder = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate)
mail = [path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())]


def ok(answer):
    kind, data = answer
    if kind != "OK":
        sys.exit(f"{kind}: {data}")
    return data


def implicit():
    return imaplib.IMAP4_SSL("localhost", int(tls_port), ssl_context=context)


def upgraded():
    client = imaplib.IMAP4("localhost", int(port))
    if "STARTTLS" not in client.capabilities:
        sys.exit("STARTTLS is not offered")
    ok(client.starttls(context))
    if "STARTTLS" in client.capabilities:
        sys.exit("STARTTLS is offered twice")
    return client


for number, connect in enumerate([implicit, upgraded]):
    client = connect()
    ok(client.login(user, password))
    name = f"python{number}"
    ok(client.create(name))
    for octets in mail:
        ok(client.append(name, None, None, octets))
    ok(client.select(name))
    for index, octets in enumerate(mail):
        data = ok(client.fetch(str(index + 1), "(BODY.PEEK[])"))
        if data[0][1] != octets:
            sys.exit(f"message {index} is another one")
    ok(client.close())
    client.logout()

# Whoever does not trust the certificate does not get so far as to say a password.
try:
    imaplib.IMAP4_SSL("localhost", int(tls_port), ssl_context=ssl.create_default_context())
except ssl.SSLCertVerificationError:
    pass
else:
    sys.exit("a certificate that nobody signed was taken")
