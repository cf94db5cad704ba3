"""What a relayed message costs the transaction layer."""

from bench.sip_transactions import cpu_per_message, memory_per_message


def test_a_finished_transaction_costs_no_more_than_1_kib_with_its_client_transaction() -> None:
    at_once, later, response = memory_per_message(5000)
    assert response > 300
    assert at_once <= 1024
    assert later <= 700


def test_every_message_that_is_measured_is_relayed_to_its_end() -> None:
    for reliable in (False, True):
        spent, writing = cpu_per_message(100, reliable=reliable)
        assert spent > writing > 0
