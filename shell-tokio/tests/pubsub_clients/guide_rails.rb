# A Rails application with the controller of the guide. It prints the token that a logged-in user gets.

require "logger"
require "action_controller/railtie"
require "rack/mock"

class Site < Rails::Application
  config.eager_load = false
  config.logger = Logger.new(nil)
  config.secret_key_base = "of a test"
  config.hosts.clear
end

class ApplicationController < ActionController::Base
  User = Struct.new(:id)

  def current_user
    User.new(42) if request.headers["X-User"]
  end
end

require "#{Dir.pwd}/notifications"
require "#{Dir.pwd}/tokens_controller"

Site.initialize!
Site.routes.draw { get "token", to: "tokens#show" }
site = Rack::MockRequest.new(Site)
refused = site.get("/token")
raise "status #{refused.status}" unless refused.status == 401
puts JSON.parse(site.get("/token", "HTTP_X_USER" => "42").body)["token"]
