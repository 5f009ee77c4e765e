# convcli with its loops compiled already, for x86-64 with AVX2 (Intel since 2013, AMD since 2015):
#   docker build -t convcli .
#   docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" convcli blur photo.jpg
# Its files have 397 MB, 160 of them LLVM, which compiles the loops.
FROM debian:bookworm-slim AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends binutils python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY . /source
COPY .ci/image /usr/local/bin/make-image
RUN make-image /source /opt/convcli

FROM debian:bookworm-slim
# numpy, Pillow and llvmlite need these two libraries of C++ and of compression.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libstdc++6 python3 zlib1g \
 && rm -rf /var/cache/apt/* /var/lib/apt/lists/*
COPY --from=build /opt/convcli /opt/convcli
# The kept loops are for this processor, whatever the machine is, and are found here alone.
ENV NUMBA_CPU_NAME=x86-64-v3 \
    NUMBA_CPU_FEATURES=+avx2,+fma \
    XDG_CACHE_HOME=/opt/convcli/cache
USER 65534:65534
WORKDIR /work
ENTRYPOINT ["/opt/convcli/bin/convcli"]
CMD ["--help"]
