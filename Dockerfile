# docker build --target cpu -t facedancer:cpu .
# docker run --rm -v "$PWD:/work" facedancer:cpu facedancer-swap-image --help
# docker build --target gpu -t facedancer:gpu .
# docker run --rm --gpus all -v "$PWD:/work" facedancer:gpu facedancer-train --help
#
# The images hold FFmpeg libraries with GPL encoders (inside the `av` wheel): whoever
# passes an image on takes over the duties of the GPL for them.

FROM python:3.11-slim AS source
COPY . /src
WORKDIR /work

FROM source AS cpu
RUN pip install --no-cache-dir "/src[train,tensorboard]"

FROM source AS gpu
RUN pip install --no-cache-dir "/src[gpu,tensorboard]"
