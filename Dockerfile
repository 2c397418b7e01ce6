# The engine's image: one package, one command; the role is the argument (`worker accounts`, `sink`, `clock` ...).
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY connectors connectors
COPY streams streams
COPY dashboards dashboards
RUN pip install --no-cache-dir --prefix=/install .

FROM python:3.11-slim
COPY --from=build /install /usr/local
RUN useradd --uid 10001 --create-home quantumleap
USER 10001
WORKDIR /home/quantumleap
# Real processes are told apart by their exit code: 70 is a fail-stop, and the supervisor starts the worker again.
ENTRYPOINT ["quantumleap"]
CMD ["--help"]
