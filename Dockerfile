# docker build -t millrace .
# docker build --build-arg BACKENDS=onnx -t millrace .   # without the others, 1.1 GB less
# docker build --build-arg VARIANT=gpu -t millrace:gpu .   # for NVIDIA GPUs: docs/devices.md
# docker run -p 8080:8080 -v "$PWD/examples/minilm:/mnt/models:ro" millrace

# cpu, or gpu: the engines' builds for CUDA 12, on a base that has it and cuDNN 9.
ARG VARIANT=cpu

FROM eclipse-temurin:25-jdk AS build
ARG VARIANT
WORKDIR /source
COPY . .
RUN --mount=type=cache,id=millrace-maven,target=/root/.m2 \
    case "$VARIANT" in cpu) profile= ;; gpu) profile=-Pgpu ;; *) echo "no variant $VARIANT" >&2; exit 1 ;; esac && \
    ./mvnw -q -B $profile -pl distribution -am -Dmaven.test.skip=true package
ARG BACKENDS="llm onnx python pytorch tensorflow"
# Only the backends asked for and this machine's natives, and readable by whatever user the container gets.
RUN cd distribution/target/millrace && \
    for backend in $BACKENDS; do [ -d "backends/$backend" ] || { echo "no backend $backend" >&2; exit 1; }; done && \
    for backend in backends/*; do case " $BACKENDS " in *" ${backend#backends/} "*) ;; *) rm -r "$backend" ;; esac; done && \
    find . -path '*/native/*' -prune -type d ! -name "$(uname -s)-$(uname -m)" -exec rm -r {} + && \
    chmod -R a+rX,go-w .

FROM eclipse-temurin:25-jre AS base-cpu

FROM nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04 AS base-gpu
# ONNX Runtime's StringNormalizer wants this locale, which the other base has.
RUN apt-get update && apt-get install -y --no-install-recommends locales && locale-gen en_US.UTF-8 && rm -rf /var/lib/apt/lists/*
COPY --from=base-cpu /opt/java/openjdk /opt/java/openjdk
ENV JAVA_HOME=/opt/java/openjdk \
    PATH=/opt/java/openjdk/bin:$PATH

FROM base-$VARIANT
LABEL org.opencontainers.image.title="Millrace" \
      org.opencontainers.image.description="A model server for the JVM" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV LANG=C.UTF-8
COPY --from=build /source/distribution/target/millrace /opt/millrace
# The cache holds for the very Java and jars that it is made with, so it is made here.
RUN --mount=type=bind,from=build,source=/source/examples/simple,target=/mnt/models \
    /opt/millrace/bin/create-aot-cache /mnt/models
# A number, so that Kubernetes can tell that it is not root; any other user works as well, and needs
# no home, no entry in /etc/passwd and nothing to write to.
USER 1000:0
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/opt/millrace/bin/health"]
ENTRYPOINT ["/opt/millrace/bin/millrace"]
CMD ["serve", "/mnt/models"]
