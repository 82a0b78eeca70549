# A Django site with the view of the guide, and with a user who is logged in. It prints its port and the user's session.

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from wsgiref.simple_server import WSGIRequestHandler, make_server

settings.configure(
    SECRET_KEY="of a test", ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware"],
)
django.setup()

from django.contrib.auth.models import User
from django.test import Client
from django.urls import path
from site42 import views

urlpatterns = [path("token", views.token)]

class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass

call_command("migrate", verbosity=0)
client = Client()
client.force_login(User.objects.create_user("ann", pk=42))
with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
    print(server.server_port, client.cookies["sessionid"].value, flush=True)
    server.serve_forever()
