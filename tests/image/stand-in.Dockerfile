# Stands in for python:3.13-slim-trixie where no registry can be asked: the same Debian, its Python
# under the names of the real image, pip beside it, and no compiled modules, as there.
FROM scratch
ADD base.tar /
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' > /etc/pip.conf \
 && rm /usr/lib/python3*/EXTERNALLY-MANAGED \
 && PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) python3 -m pip install \
        --quiet --no-index --root-user-action=ignore /usr/share/python-wheels/pip-*.whl \
 && ln -s /usr/bin/python3 /usr/local/bin/python \
 && find / -xdev -name '*.pyc' -delete
