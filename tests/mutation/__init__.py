"""Whether the tests would notice a wrong rule: every control of risk is made wrong in one place, and they must fail."""
