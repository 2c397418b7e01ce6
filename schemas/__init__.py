"""The words: every record, topic and metric of Quantum Leap. Imports nothing of ours."""
