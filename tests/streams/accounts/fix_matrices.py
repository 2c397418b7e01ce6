"""The order state change matrices of FIX 4.4, appendix D, in our own short form.

A line is one message. Client: `new ID QTY`, `cancel ID ORIG`, `replace ID ORIG QTY`, `status ID`. Broker:
`ID ORIG EXEC_TYPE ORD_STATUS ORDER_QTY CUM_QTY LEAVES_QTY LAST_QTY`, with `=REF` for the execution that a bust or
correction is about and `@ID` for an execution's own id; `reject ID ORIG ORD_STATUS` is a cancel reject.
"""

from typing import Any

MATRICES: dict[str, str] = {
    "D5 order becomes filled before the cancel is accepted": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 2000 8000 2000
        cancel Y X
        X - Trade Partially_Filled 10000 5000 5000 3000
        Y X Pending_Cancel Pending_Cancel 10000 5000 5000 0
        X - Trade Pending_Cancel 10000 10000 0 5000
        reject Y X Filled""",
    "D6 cancel of an order that has not been acknowledged": """
        new X 10000
        cancel Y X
        Y X Pending_Cancel Pending_Cancel 10000 0 10000 0
        Y X Canceled Canceled 10000 0 0 0""",
    "D6 cancel of an order that is only pending new": """
        new X 10000
        X - Pending_New Pending_New 10000 0 10000 0
        cancel Y X
        Y X Pending_Cancel Pending_Cancel 10000 0 10000 0
        reject Y X Pending_New""",
    "D10 increase of a part-filled order, execution while pending": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        replace Y X 12000
        Y X Pending_Replace Pending_Replace 10000 1000 9000 0
        X - Trade Pending_Replace 10000 1100 8900 100
        Y X Replaced Partially_Filled 12000 1100 10900 0
        Y - Trade Filled 12000 12000 0 10900""",
    "D11 increase of a filled order": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Filled 10000 10000 0 10000
        replace Y X 12000
        Y X Pending_Replace Pending_Replace 10000 10000 0 0
        Y X Replaced Partially_Filled 12000 10000 2000 0
        Y - Trade Filled 12000 12000 0 2000""",
    "D12 replace not for quantity, rejected because of a fill": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        replace Y X 10000
        X - Trade Filled 10000 10000 0 9000
        reject Y X Filled""",
    "D14 requested quantity equals the executed one": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        replace Y X 7000
        X - Trade Partially_Filled 10000 7000 3000 6000
        Y X Pending_Replace Pending_Replace 10000 7000 3000 0
        Y X Replaced Filled 7000 7000 0 0""",
    "D15 requested quantity below the executed one": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        replace Y X 7000
        X - Trade Partially_Filled 10000 8000 2000 7000
        Y X Pending_Replace Pending_Replace 10000 8000 2000 0
        Y X Replaced Filled 8000 8000 0 0""",
    "D16 two replaces one after the other": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        replace Y X 8000
        Y X Pending_Replace Pending_Replace 10000 1000 9000 0
        Y X Replaced Partially_Filled 8000 1000 7000 0
        Y - Trade Partially_Filled 8000 3000 5000 2000
        replace Z Y 6000
        Z Y Pending_Replace Pending_Replace 8000 3000 5000 0
        Y - Trade Pending_Replace 8000 3500 4500 500
        Z Y Replaced Partially_Filled 6000 3500 2500 0
        Z - Trade Partially_Filled 6000 5000 1000 1500""",
    "D17 replace rejected before pending, another accepted": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        replace Y X 8000
        reject Y X Partially_Filled
        X - Trade Partially_Filled 10000 1500 8500 500
        replace Z X 7000
        Z X Pending_Replace Pending_Replace 10000 1500 8500 0
        Z X Replaced Partially_Filled 7000 1500 5500 0""",
    "D18 replace rejected while pending, another accepted": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        replace Y X 8000
        Y X Pending_Replace Pending_Replace 10000 1000 9000 0
        X - Trade Pending_Replace 10000 1100 8900 100
        reject Y X Partially_Filled
        replace Z X 7000
        Z X Pending_Replace Pending_Replace 10000 1100 8900 0
        Z X Replaced Partially_Filled 7000 1100 5900 0
        Z - Trade Filled 7000 7000 0 5900""",
    "D19 two replaces in flight, taken one after the other": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        replace Y X 8000
        replace Z Y 7000
        Y X Pending_Replace Pending_Replace 10000 1000 9000 0
        Y X Replaced Partially_Filled 8000 1000 7000 0
        Y - Trade Partially_Filled 8000 3000 5000 2000
        Z Y Pending_Replace Pending_Replace 8000 3000 5000 0
        Z Y Replaced Partially_Filled 7000 3000 4000 0
        Z - Trade Filled 7000 7000 0 4000""",
    "D20 two replaces in flight, both pending before the first is done": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        replace Y X 8000
        replace Z Y 7000
        Y X Pending_Replace Pending_Replace 10000 1000 9000 0
        X - Trade Pending_Replace 10000 1500 8500 500
        Z Y Pending_Replace Pending_Replace 10000 1500 8500 0
        Y X Replaced Pending_Replace 8000 1500 6500 0
        Z Y Replaced Partially_Filled 7000 1500 5500 0
        Z - Trade Filled 7000 7000 0 5500""",
    "D22 order by telephone, never sent": """
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 2000 8000 2000
        X - Trade Filled 10000 10000 0 8000""",
    "D24 unsolicited replacement of a part-filled order": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        X - Replaced Partially_Filled 11000 1000 10000 0
        X - Trade Filled 11000 11000 0 10000""",
    "D24 unsolicited restatement of a part-filled order": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        X - Restated Partially_Filled 9000 1000 8000 0
        X - Trade Filled 9000 9000 0 8000""",
    "D25 unsolicited reduction by the sell side": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Restated New 9000 0 9000 0
        X - Trade Partially_Filled 9000 1000 8000 1000
        X - Restated Partially_Filled 8000 1000 7000 0
        X - Canceled Canceled 8000 1000 0 0""",
    "D26 rejected for a repeated id": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        new X 15000
        X - Rejected Rejected 15000 0 0 0
        X - Trade Filled 10000 10000 0 9000""",
    "D29 status of an unknown order": """
        status X
        X - Order_Status Rejected 0 0 0 0""",
    "D30 nothing done": """
        new X 10000
        X - New New 10000 0 10000 0
        status X
        X - Order_Status New 10000 0 10000 0""",
    "D31 status asked throughout the order's life": """
        new X 10000
        status X
        X - Order_Status Pending_New 10000 0 10000 0
        X - New New 10000 0 10000 0
        status X
        X - Order_Status New 10000 0 10000 0
        X - Trade Partially_Filled 10000 2000 8000 2000
        X - Order_Status Partially_Filled 10000 2000 8000 0
        X - Trade Filled 10000 10000 0 8000
        X - Order_Status Filled 10000 10000 0 0""",
    "D32 GTC order restated and filled the next day": """
        tif GTC
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 2000 8000 2000
        X - Done_For_Day Done_For_Day 10000 2000 8000 0
        X - Restated Partially_Filled 10000 2000 8000 0
        X - Trade Partially_Filled 10000 5000 5000 3000
        X - Done_For_Day Done_For_Day 10000 5000 5000 0
        X - New Partially_Filled 10000 5000 5000 0
        X - Trade Filled 10000 10000 0 5000""",
    "D33 GTC order through a two for one split": """
        tif GTC
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 2000 8000 2000
        X - Done_For_Day Done_For_Day 10000 2000 8000 0
        X - Restated Partially_Filled 20000 4000 16000 0
        X - Trade Partially_Filled 20000 9000 11000 5000
        X - Trade Filled 20000 20000 0 11000""",
    "D34 GTC order restated and canceled the next day": """
        tif GTC
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 2000 8000 2000
        X - Done_For_Day Done_For_Day 10000 2000 8000 0
        X - Restated Partially_Filled 10000 2000 8000 0
        cancel Y X
        Y X Pending_Cancel Pending_Cancel 10000 2000 8000 0
        Y X Canceled Canceled 10000 2000 0 0""",
    "D35 GTC order restated, then increased": """
        tif GTC
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 2000 8000 2000
        X - Done_For_Day Done_For_Day 10000 2000 8000 0
        X - Restated Partially_Filled 10000 2000 8000 0
        replace Y X 15000
        Y X Pending_Replace Pending_Replace 10000 2000 8000 0
        Y X Replaced Partially_Filled 15000 2000 13000 0""",
    "D36 fill or kill that cannot be filled": """
        tif FOK
        new X 10000
        X - New New 10000 0 10000 0
        X - Expired Expired 10000 0 0 0""",
    "D37 immediate or cancel that is hit in part": """
        tif IOC
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        X - Canceled Canceled 10000 1000 0 0""",
    "D38 filled, then a correction and a bust": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000 @A
        X - Trade Filled 10000 10000 0 9000 @B
        X - Trade_Correct Partially_Filled 10000 9500 500 8500 =B
        X - Trade_Cancel Partially_Filled 10000 8500 1500 0 =A
        X - Trade Filled 10000 10000 0 1500 @E""",
    "D38 filled, then a bust by size alone": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 1000 9000 1000
        X - Trade Filled 10000 10000 0 9000
        X - Trade_Cancel Partially_Filled 10000 9000 1000 0
        X - Trade_Correct Partially_Filled 10000 8000 2000 8000""",
    "D39 canceled, then a bust and a new execution": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 5000 5000 5000 @A
        cancel Y X
        Y X Canceled Canceled 10000 5000 0 0
        X - Trade_Cancel Canceled 10000 0 0 0 =A
        X - Trade Canceled 10000 4000 0 4000""",
    "D40 GTC with corrections of yesterday's executions": """
        tif GTC
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 2000 8000 2000 @A
        X - Done_For_Day Done_For_Day 10000 2000 8000 0
        X - Restated Partially_Filled 10000 2000 8000 0
        X - Trade Partially_Filled 10000 5000 5000 3000 @B
        X - Trade_Correct Partially_Filled 10000 4500 5500 1500 =A @C
        X - Trade_Correct Partially_Filled 10000 4000 6000 1000 =C""",
    "D41 trading halt, reinstated": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 6000 4000 6000
        X - Suspended Suspended 10000 6000 0 0
        X - New Partially_Filled 10000 6000 4000 0
        X - Trade Filled 10000 10000 0 4000""",
    "D42 trading halt, canceled": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Partially_Filled 10000 6000 4000 6000
        X - Suspended Suspended 10000 6000 0 0
        cancel Y X
        Y X Canceled Canceled 10000 6000 0 0""",
    "D43 guarantee of execution": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Stopped Stopped 10000 0 10000 0
        X - Trade Stopped 10000 1000 9000 1000
        X - Trade Filled 10000 10000 0 9000""",
    "calculated after filled": """
        new X 10000
        X - New New 10000 0 10000 0
        X - Trade Filled 10000 10000 0 10000
        X - Calculated Calculated 10000 10000 0 0""",
    "late fill after expiry completes the order": """
        new X 10
        X - New New 10 0 10 0
        X - Expired Expired 10 0 0 0
        X - Trade Expired 10 4 0 4
        X - Trade Filled 10 10 0 6""",
    "fill before acknowledgement": """
        new X 10
        X - Trade Partially_Filled 10 4 6 4
        X - New Partially_Filled 10 4 6 0
        X - Pending_New Partially_Filled 10 4 6 0
        X - Trade Filled 10 10 0 6""",
    "cancel and replace pending at once": """
        new X 10
        X - New New 10 0 10 0
        replace Y X 12
        cancel Z Y
        Y X Pending_Replace Pending_Replace 10 0 10 0
        Z Y Pending_Cancel Pending_Cancel 10 0 10 0
        Y X Replaced Pending_Cancel 12 0 12 0
        Z Y Canceled Canceled 12 0 0 0""",
}


def scenario(name: str) -> dict[str, Any]:
    """The matrix in the format order-lifecycle/1."""
    steps: list[dict[str, Any]] = []
    tif = "DAY"
    for line in MATRICES[name].strip().splitlines():
        words = line.split()
        if words[0] == "tif":
            tif = words[1]
        else:
            steps.append(_step(words))
    return {"id": name, "tif": tif, "steps": steps}


def _step(words: list[str]) -> dict[str, Any]:
    said = {"new": "new", "cancel": "cancel_request", "replace": "replace_request", "status": "status_request"}
    if words[0] in said:
        step: dict[str, Any] = {"from": "client", "msg": said[words[0]], "cl": words[1]}
        if words[0] in ("cancel", "replace"):
            step["orig"] = words[2]
        if words[0] in ("new", "replace"):
            step["qty"] = int(words[-1])
        return step
    if words[0] == "reject":
        status = words[3].replace("_", " ")
        return {"from": "broker", "msg": "cancel_reject", "cl": words[1], "orig": words[2], "ord_status": status}
    step = {
        "from": "broker", "msg": "report", "cl": words[0], "exec_type": words[2].replace("_", " "),
        "ord_status": words[3].replace("_", " "), "order_qty": int(words[4]), "cum_qty": int(words[5]),
        "leaves_qty": int(words[6]), "last_qty": int(words[7]),
    }  # fmt: skip
    if words[1] != "-":
        step["orig"] = words[1]
    for word in words[8:]:
        step["exec_ref" if word[0] == "=" else "exec_id"] = word[1:]
    return step
