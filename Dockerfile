# docker build -t millrace .
# docker build --build-arg BACKENDS=onnx -t millrace .   # without the others, 1.1 GB less
# docker run -p 8080:8080 -v "$PWD/examples/minilm:/mnt/models:ro" millrace

FROM eclipse-temurin:25-jdk AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,id=millrace-maven,target=/root/.m2 \
    ./mvnw -q -B -pl distribution -am -Dmaven.test.skip=true package
ARG BACKENDS="llm onnx python pytorch tensorflow"
# Only the backends asked for and this machine's natives, and readable by whatever user the container gets.
RUN cd distribution/target/millrace && \
    for backend in $BACKENDS; do [ -d "backends/$backend" ] || { echo "no backend $backend" >&2; exit 1; }; done && \
    for backend in backends/*; do case " $BACKENDS " in *" ${backend#backends/} "*) ;; *) rm -r "$backend" ;; esac; done && \
    find . -path '*/native/*' -prune -type d ! -name "$(uname -s)-$(uname -m)" -exec rm -r {} + && \
    chmod -R a+rX,go-w .

FROM eclipse-temurin:25-jre
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
