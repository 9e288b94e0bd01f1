# The emulator as an image. Neither the project nor its tests build it. docs/ci.md says how to use it.
FROM python:3.13-slim
COPY . /src
RUN pip install --no-cache-dir /src && rm -r /src
USER nobody
EXPOSE 9630
ENTRYPOINT ["zof-emulator", "serve", "--host", "0.0.0.0"]
