"""The soak of orders: real Kafka, a misbehaving venue, workers that are killed, stopped and moved; the venue judges.

python -m tests.soak --orders 20000 --seed 1

floor       servers, the venue, accounts that may trade, workers as processes
storm       what is done to workers and venue while orders flow
verdict     what the venue's ledger says of every intent, and of our positions
"""
