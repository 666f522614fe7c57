"""The Celery app by the kind of broker that its URL names."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kombu.exceptions import OperationalError

from config.topology import TASK_QUEUES
from worker.app import make_app
from worker.consumer import HintConsumer
from worker.rabbitmq import connected, is_rabbitmq

pytestmark = pytest.mark.unit

OTHER_NAME = x509.DNSName("another-machine.example")
OUR_NAME = x509.IPAddress(ip_address("127.0.0.1"))


@pytest.mark.parametrize(
    ("url", "rabbitmq"),
    [
        ("amqp://user:password@host:5672/desk", True),
        ("amqps://host/desk", True),
        ("amqp://one/desk;amqp://two/desk", True),
        ("redis://:password@host:6379/0", False),
        ("rediss://host", False),
        ("sentinel://one:26379/0?master_name=desk;sentinel://two:26379", False),
    ],
)
def test_the_url_says_which_broker_it_is(url, rabbitmq):
    """On RabbitMQ all queues are quorum queues; on Redis nothing of that is asked for."""
    app = make_app(url)
    assert is_rabbitmq(url) is rabbitmq
    arguments = {"x-queue-type": "quorum"} if rabbitmq else None
    assert {name: app.amqp.queues[name].queue_arguments for name in TASK_QUEUES} == dict.fromkeys(
        TASK_QUEUES, arguments
    )
    assert ("visibility_timeout" in app.conf.broker_transport_options) is not rabbitmq
    assert bool(app.conf.broker_transport_options.get("confirm_publish")) is rabbitmq


def test_workers_make_no_queues_for_delays():
    """Celery's step for them is left out, and no other one."""
    ours, celerys = HintConsumer.Blueprint.default_steps, HintConsumer.__mro__[1].Blueprint.default_steps
    assert set(celerys) - set(ours) == {"celery.worker.consumer.delayed_delivery:DelayedDelivery"}
    assert [step for step in celerys if step in ours] == list(ours)


def _certificate(folder: Path, name: x509.GeneralName) -> Path:
    """A certificate that is its own authority, with its key; Unix seconds do not matter to it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "RabbitMQ")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize(("name", "trusted"), [(OUR_NAME, True), (OTHER_NAME, False)], ids=["its own", "another's"])
def test_a_certificate_must_be_of_the_host_in_the_url(tmp_path, monkeypatch, name, trusted):
    """One that an authority signed for another machine is refused."""
    certificate = _certificate(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    greeted: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        greeted.append(secured.recv(4))
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"amqps://guest:guest@127.0.0.1:{server.getsockname()[1]}//"
        with make_app(url).connection_for_write() as connection, pytest.raises(OperationalError) as refused:
            connected(connection)
        thread.join(10)
    assert greeted == ([b"AMQP"] if trusted else [])
    assert ("certificate verify failed" in str(refused.value)) is not trusted
