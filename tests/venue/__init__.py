"""A misbehaving venue: a server on the loopback address that speaks Alpaca's trading API and trade-updates stream.

It is honest in its ledger and, when told so, dishonest on the wire: every script of misbehaviour is a fault that can be
switched on and off while it runs, through its `/admin` paths. What happened is what its ledger says; that is the judge.

    python -m tests.venue FOLDER DESCRIPTOR     what `tests.venue.process` starts; options come from the environment

    orders      the words: an order, an execution, and how Alpaca spells them
    ledger      what is durable: one SQLite file
    rules       what Alpaca refuses, with its codes
    exchange    what happens to orders: pure of the network
    faults      scripts of misbehaviour, seeded
    stream      the websocket, and what faults do to it
    app, admin  the HTTP paths, and the paths of whoever directs the play
    process     a handle on a running venue
    judge       the verdict, read from the ledger's file
"""
